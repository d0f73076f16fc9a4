//! Our attacks on a trained classifier.

use std::path::PathBuf;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tandem_domain::spec::{self, AttackLoss, Norm};
use tandem_learn::artifact::load_classifier;
use tandem_learn::attack::fixed_radius::FixedRadius;
use tandem_learn::attack::pgd::Pgd;
use tandem_learn::attack::plb::{self, Settings, Steps};
use tandem_learn::attack::{Batch, Target, fmn};
use tandem_learn::classifier::Classifier;
use tandem_learn::task::InputFile;
use tch::{Device, Kind, Tensor};

use super::batches::SEED;
use super::work::{Work, timed};

/// The settings of both sides. `folder` holds the images that the side `classifier` has written.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct AttackSetup {
    pub(crate) classifier: InputFile,
    /// The first so many images are attacked.
    pub(crate) images: u32,
    /// Images in one pass.
    pub(crate) batch: u32,
    pub(crate) threads: u32,
    pub(crate) steps: u32,
    /// Length of a step as a share of the radius.
    pub(crate) step: f64,
    /// For ProxLogBarrier: steps that are shares of the distance, as in best-of, or the published ones.
    pub(crate) relative: bool,
    /// For FMN; PGD has linf and ProxLogBarrier l2.
    pub(crate) norm: Norm,
    /// In linf. If none is given, our side searches one at which half of the images fall.
    pub(crate) radius: Option<f64>,
    pub(crate) folder: PathBuf,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct PgdReply {
    #[serde(default)]
    pub(crate) radius: f64,
    /// For each image.
    pub(crate) fallen: Vec<bool>,
    pub(crate) version: String,
    #[serde(default)]
    pub(crate) layout: String,
}

/// Images, their labels and what classifies them.
struct Attacked {
    target: Classifier,
    images: Tensor,
    labels: Tensor,
    ids: Vec<i64>,
    batch: usize,
}

impl Attacked {
    fn load(setup: &AttackSetup) -> Result<Self> {
        tch::set_num_threads(i32::try_from(setup.threads)?);
        let (target, _) = load_classifier(&setup.classifier, Device::Cpu)
            .map_err(|failure| anyhow::anyhow!("loading the classifier: {failure}"))?;
        let tensors = Tensor::read_safetensors(setup.folder.join("attacked.safetensors"))?;
        let tensor = |name: &str| -> Result<Tensor> {
            let found = tensors.iter().find(|(other, _)| other == name);
            let (_, tensor) = found.with_context(|| format!("attacked.safetensors has no {name}"))?;
            Ok(tensor.narrow(0, 0, i64::from(setup.images)))
        };
        Ok(Self {
            target,
            images: tensor("pixels")?.to_kind(Kind::Float) / 255.0,
            labels: tensor("labels")?,
            ids: (0..i64::from(setup.images)).collect(),
            batch: setup.batch as usize,
        })
    }

    /// The results of `attack` on all batches, f32 `[images]`.
    fn batches(&self, attack: impl Fn(&dyn Target, &Batch<'_>) -> Tensor) -> Tensor {
        let parts: Vec<Tensor> = (0..)
            .zip(self.ids.chunks(self.batch))
            .map(|(i, ids)| {
                let part = |all: &Tensor| all.narrow(0, i * self.batch as i64, ids.len() as i64);
                attack(&self.target, &Batch { images: &part(&self.images), labels: &part(&self.labels), ids })
            })
            .collect();
        Tensor::cat(&parts, 0)
    }

    /// Which images fall to PGD in linf.
    fn fallen(&self, pgd: &Pgd, radius: f64) -> Tensor {
        self.batches(|target, batch| pgd.all_runs(target, batch, Norm::Linf, radius).distance).isfinite()
    }

    /// A radius at which about half of the first batch fall.
    fn halving_radius(&self, pgd: &Pgd) -> f64 {
        let (mut low, mut high) = (0.0, 8.0 / 255.0);
        let few = self.batch.min(self.ids.len());
        let part = |all: &Tensor| all.narrow(0, 0, few as i64);
        let batch = Batch { images: &part(&self.images), labels: &part(&self.labels), ids: &self.ids[..few] };
        for _ in 0..8 {
            let middle = (low + high) / 2.0;
            let fallen = pgd.all_runs(&self.target, &batch, Norm::Linf, middle).distance.isfinite();
            let share = fallen.to_kind(Kind::Float).mean(Kind::Float).double_value(&[]);
            if (share - 0.5).abs() < 0.05 {
                return middle;
            }
            (low, high) = if share > 0.5 { (low, middle) } else { (middle, high) };
        }
        (low + high) / 2.0
    }
}

pub(crate) fn prepare_pgd(setup: AttackSetup) -> Result<(Value, Work)> {
    let attacked = Attacked::load(&setup)?;
    let pgd = Pgd {
        steps: setup.steps,
        step: setup.step,
        random_start: false,
        restarts: 1,
        loss: AttackLoss::CrossEntropy,
        seed: SEED,
    };
    let radius = setup.radius.unwrap_or_else(|| attacked.halving_radius(&pgd));
    let fallen = Vec::<bool>::try_from(attacked.fallen(&pgd, radius))?;
    let reply = PgdReply { radius, fallen, version: env!("CARGO_PKG_VERSION").into(), layout: String::new() };
    let work = timed(move || {
        drop(attacked.fallen(&pgd, radius));
        Ok(())
    });
    Ok((serde_json::to_value(reply)?, work))
}

/// ProxLogBarrier in l2. A unit of work finds each image's distance.
pub(crate) fn prepare_plb(setup: AttackSetup) -> Result<(Value, Work)> {
    let attacked = Attacked::load(&setup)?;
    let steps = if setup.relative { Steps::Relative } else { Steps::Published };
    let settings = Settings { constants: spec::Plb::default(), steps, noise: 0.01, seed: SEED, restart: 0 };
    Ok(distances(move || attacked.batches(|target, batch| plb::run(target, batch, Norm::L2, &settings, None).distance)))
}

/// FMN in `setup.norm`. A unit of work finds each image's distance.
pub(crate) fn prepare_fmn(setup: AttackSetup) -> Result<(Value, Work)> {
    let attacked = Attacked::load(&setup)?;
    let settings = fmn::Settings { steps: setup.steps, seed: SEED, ..fmn::Settings::default() };
    Ok(distances(move || attacked.batches(|target, batch| fmn::run(target, batch, setup.norm, &settings).distance)))
}

/// The reply and the work of a search for distances.
fn distances(find: impl Fn() -> Tensor + 'static) -> (Value, Work) {
    let work = move |count| {
        let mut found = Value::Null;
        for _ in 0..count {
            found = json!(Vec::<f32>::try_from(find())?);
        }
        Ok(found)
    };
    (json!({ "version": env!("CARGO_PKG_VERSION") }), Box::new(work))
}
