//! Row 7: an image's result does not depend on the batch it is in.

use anyhow::Result;
use tandem_domain::spec::{AttackLoss, Norm, Plb};
use tandem_learn::attack::apgd::{Apgd, ApgdLoss};
use tandem_learn::attack::fixed_radius::FixedRadius;
use tandem_learn::attack::pgd::Pgd;
use tandem_learn::attack::square::Square;
use tandem_learn::attack::{Adversarials, Batch, Target, ddn, fab, fmn, plb};
use tandem_learn::classifier::Classifier;
use tch::{Device, Kind, Tensor};

use super::subject::{Sample, Trained};
use crate::args::Part;
use crate::environment::{Environment, SEED};
use crate::exchange::largest_difference;
use crate::row::{Bound, Row, Unit};

const IMAGES: usize = 8;

/// Runs one image at a time through the classifier. A convolution of eight images rounds differently from one of a
/// single image, and an attack follows the rounding; without that, a difference is the attack's own fault.
struct OneByOne<'a>(&'a Classifier);

impl Target for OneByOne<'_> {
    fn logits(&self, images: &Tensor) -> Tensor {
        let rows: Vec<Tensor> = images.split(1, 0).iter().map(|image| self.0.logits(image)).collect();
        if rows.is_empty() {
            Tensor::zeros([0, self.0.classes()], (Kind::Float, Device::Cpu))
        } else {
            Tensor::cat(&rows, 0)
        }
    }

    fn classes(&self) -> i64 {
        self.0.classes()
    }
}

/// A broken target, whose images influence each other: it subtracts the batch's mean logits.
struct Entangled<'a>(OneByOne<'a>);

impl Target for Entangled<'_> {
    fn logits(&self, images: &Tensor) -> Tensor {
        let logits = self.0.logits(images);
        let mean = logits.mean_dim([0i64].as_slice(), true, Kind::Float);
        logits - mean
    }

    fn classes(&self) -> i64 {
        self.0.classes()
    }
}

pub(crate) fn compare(env: &Environment) -> Result<Vec<Row>> {
    let trained = Trained::get(env)?;
    let sample = Sample::first(env, IMAGES)?;
    let (independent, entangled) = (OneByOne(&trained.classifier), Entangled(OneByOne(&trained.classifier)));
    let net: &dyn Target = if env.breaks(Part::Alone) { &entangled } else { &independent };
    let mut rows = Vec::new();
    for (norm, name, radius) in [(Norm::L2, "l2", 0.2), (Norm::Linf, "linf", 1.5 / 255.0)] {
        let pgd = Pgd::reference(Some(5), 2, AttackLoss::CrossEntropy, SEED);
        let apgd = |loss| Apgd { steps: 6, restarts: 1, loss, seed: SEED };
        let square = Square { queries: 30, seed: SEED, ..Square::default() };
        let fab = fab::Settings { iterations: 5, targets: 3, seed: SEED, ..fab::Settings::default() };
        let fmn = fmn::Settings { steps: 12, seed: SEED, ..fmn::Settings::default() };
        let ddn = ddn::Settings { steps: 12, seed: SEED, ..ddn::Settings::default() };
        let plb = |steps| plb::Settings {
            constants: Plb { outer: 4, inner: 4, ..Plb::default() },
            steps,
            noise: 0.01,
            seed: SEED,
            restart: 0,
        };
        let at = |attack: &dyn FixedRadius, batch: &Batch<'_>| attack.all_runs(net, batch, norm, radius);
        type Case<'a> = (&'a str, Box<dyn Fn(&Batch<'_>) -> Adversarials + 'a>);
        let mut runs: Vec<Case<'_>> = vec![
            ("pgd", Box::new(|batch| at(&pgd, batch))),
            ("apgd", Box::new(|batch| at(&apgd(ApgdLoss::CrossEntropy), batch))),
            ("apgd-t", Box::new(|batch| at(&apgd(ApgdLoss::TargetedDlr), batch))),
            ("square", Box::new(|batch| at(&square, batch))),
            ("fab", Box::new(|batch| fab::run(net, batch, norm, &fab))),
            ("plb", Box::new(|batch| plb::run(net, batch, norm, &plb(plb::Steps::Relative), None))),
            ("plb as published", Box::new(|batch| plb::run(net, batch, norm, &plb(plb::Steps::Published), None))),
            ("fmn", Box::new(|batch| fmn::run(net, batch, norm, &fmn))),
        ];
        if norm == Norm::L2 {
            runs.push(("ddn", Box::new(|batch| ddn::run(net, batch, &ddn))));
        }
        for (attack, ours) in &runs {
            let together = on(&sample, &(0..IMAGES as i64).collect::<Vec<_>>(), ours);
            let order: Vec<i64> = (0..IMAGES as i64).map(|i| (3 * i + 2) % IMAGES as i64).collect();
            let permuted = on(&sample, &order, ours);
            let alone: Vec<Tensor> = (0..IMAGES as i64).map(|i| on(&sample, &[i], ours)).collect();
            let apart = largest_difference(&together, &Tensor::cat(&alone, 0))?;
            let moved = largest_difference(&together.index_select(0, &Tensor::from_slice(&order)), &permuted)?;
            let found = together.narrow(1, 0, 1).lt(1e8).sum(Kind::Int64).int64_value(&[]);
            let what = format!("{attack} in {name}: {IMAGES} images together, alone, in another order");
            let note =
                format!("{found} of {IMAGES} broken; pixels and distances, alone {apart:.0e}, permuted {moved:.0e}");
            rows.push(Row::new(7, what, apart.max(moved), Bound::AtMost(1e-6), Unit::Plain, note));
        }
    }
    Ok(rows)
}

/// Distance and pixels of what an attack finds for the images at `rows`, `[rows, 1 + pixels]`.
fn on(sample: &Sample, rows: &[i64], attack: impl Fn(&Batch<'_>) -> Adversarials) -> Tensor {
    let index = Tensor::from_slice(rows);
    let (images, labels) = (sample.images.index_select(0, &index), sample.labels.index_select(0, &index));
    let ids: Vec<i64> = rows.iter().map(|&row| sample.ids[row as usize]).collect();
    let found = attack(&Batch { images: &images, labels: &labels, ids: &ids });
    // Finite, so that two failures have a difference of 0.
    let distance = found.distance.clamp_max(1e9).unsqueeze(1);
    Tensor::cat(&[distance, found.images.flatten(1, -1)], 1)
}
