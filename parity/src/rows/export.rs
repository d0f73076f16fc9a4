//! Row 2: exported encoders and classifiers, loaded and run in Python.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::json;
use tandem_domain::spec::{self, Encoder, JobSpec};
use tandem_learn::artifact::{self, Card};
use tandem_learn::augment::plain;
use tandem_learn::encoder::{HeadShape, LayerwiseModel, Model};
use tandem_learn::files::sha256;
use tandem_learn::flat::Role;
use tandem_learn::report::Event;
use tandem_learn::task::InputFile;
use tch::{Device, Tensor};

use crate::args::Part;
use crate::environment::{Environment, SEED};
use crate::exchange::{Exchange, largest_difference};
use crate::peer::Peer;
use crate::row::{Bound, Row, Unit};

/// Images whose outputs are compared.
const IMAGES: i64 = 24;
const CLASSES: u32 = 10;
const TOLERANCE: Bound = Bound::AtMost(1e-4);

#[derive(Deserialize)]
struct ExportReply {
    /// Names that only one side has.
    unmatched: Vec<String>,
    version: String,
}

pub(crate) fn compare(env: &Environment) -> Result<Vec<Row>> {
    let data = env.load()?;
    let images = plain(&data.test, &(0..IMAGES).collect::<Vec<_>>());
    let exchange = Exchange::new()?;
    let shown = if env.breaks(Part::Export) { &images + 0.01 } else { images.shallow_clone() };
    exchange.write("images", &[("images", &shown)])?;
    let mut peer = Peer::start(&env.python, "export")?;
    let mut rows = Vec::new();
    for (encoder, arch) in [
        (Encoder::ResNet18, Some("resnet18")),
        (Encoder::ResNet34, Some("resnet34")),
        (Encoder::ResNet50, Some("resnet50")),
        (Encoder::ResNetTiny, None),
        (Encoder::ResNetPaper, None),
    ] {
        let folder = exchange.folder();
        if let Some(arch) = arch {
            let model = perturbed(net(encoder, None)?, &images);
            let path = save(&exchange, &model, encoder, None, "encoder")?;
            let asked =
                if env.breaks(Part::Export) { if arch == "resnet34" { "resnet18" } else { "resnet34" } } else { arch };
            let reply: ExportReply =
                peer.ask(&json!({ "what": "torchvision", "folder": folder, "path": path, "arch": asked }))?;
            let note = reply.unmatched.first().map_or_else(String::new, |name| format!("the first is {name}"));
            let what = format!("{arch}: names that torchvision {}'s lacks or has besides", reply.version);
            rows.push(Row::new(2, what, reply.unmatched.len() as f64, Bound::AtMost(0.0), Unit::Count, note));
            if reply.unmatched.is_empty() {
                rows.push(same(&exchange, format!("{arch}: features in torchvision's"), &model.features(&images))?);
            }
        }
        for layers in [1, 2] {
            let head = HeadShape::FullyConnected { layers, classes: CLASSES };
            let path =
                save(&exchange, &perturbed(net(encoder, Some(head))?, &images), encoder, Some(head), "classifier")?;
            let input = InputFile { kind: "classifier".into(), sha256: sha256(&std::fs::read(&path)?), path };
            // As an attack or an evaluation loads it.
            let (classifier, _) = artifact::load_classifier(&input, Device::Cpu)?;
            let _: serde_json::Value = peer.ask(&json!({ "what": "loader", "folder": folder, "path": input.path }))?;
            let logits = tch::no_grad(|| classifier.logits(&images));
            let plural = if layers == 1 { "layer" } else { "layers" };
            let name = serde_json::to_value(encoder)?;
            let what = format!("{} with {layers} {plural}: logits by load.py", name.as_str().unwrap_or_default());
            rows.push(same(&exchange, what, &logits)?);
        }
    }
    // As pretraining saves it, with its projection heads.
    for (heads, which) in [(1, "with its projection head"), (4, "with a head on each stage")] {
        let (encoder, head) = (Encoder::ResNetTiny, spec::Head { hidden: 32, output: 16, ..spec::Head::default() });
        let layers =
            LayerwiseModel::new(encoder, head, heads, SEED, Device::Cpu).context("resnet-tiny can be built")?;
        let model = perturbed(layers.model, &images);
        let path = save(&exchange, &model, encoder, Some(HeadShape::Projection(head)), "encoder")?;
        let _: serde_json::Value = peer.ask(&json!({ "what": "loader", "folder": exchange.folder(), "path": path }))?;
        rows.push(same(&exchange, format!("resnet-tiny {which}: features by load.py"), &model.features(&images))?);
    }
    Ok(rows)
}

fn same(exchange: &Exchange, what: String, ours: &Tensor) -> Result<Row> {
    let theirs = exchange.read("theirs")?;
    let difference = largest_difference(ours, theirs.get("output")?)?;
    let note = format!("outputs up to {:.1}", ours.abs().max().double_value(&[]));
    Ok(Row::new(2, what, difference, TOLERANCE, Unit::Plain, note))
}

fn net(encoder: Encoder, head: Option<HeadShape>) -> Result<Model> {
    let model = match head {
        Some(HeadShape::FullyConnected { layers, classes }) => {
            Model::classifier(encoder, layers, classes, SEED, Device::Cpu)
        }
        _ => Model::new(encoder, None, SEED, Device::Cpu),
    };
    model.with_context(|| format!("this version cannot build {encoder:?}"))
}

/// Makes every tensor matter: BatchNorm's weights and biases are drawn, its statistics are those of `images`.
fn perturbed(model: Model, images: &Tensor) -> Model {
    tch::manual_seed(SEED as i64);
    tch::no_grad(|| {
        for (slot, view) in model.parameters.named() {
            let _ = match slot.role {
                Role::NormWeight => view.shallow_clone().uniform_(0.5, 1.5),
                Role::NormBias => view.shallow_clone().uniform_(-0.2, 0.2),
                _ => continue,
            };
        }
        // A training pass moves the running statistics a tenth of the way to the batch's.
        let before = model.statistics.vector().copy();
        let _ = model.project(images, &model.statistics);
        let batch = (model.statistics.vector() - &before * 0.9) / 0.1;
        model.statistics.vector().shallow_clone().copy_(&batch);
    });
    model
}

/// As a job saves it.
fn save(exchange: &Exchange, model: &Model, encoder: Encoder, head: Option<HeadShape>, kind: &str) -> Result<PathBuf> {
    let job: JobSpec = serde_json::from_value(json!({
        "name": "parity", "dataset": "shapes", "seed": SEED, "workers": { "min": 1, "max": 1 }, "shards": 1, "threads": 1,
        "inputs": [], "stage": { "stage": "supervised", "encoder": encoder }
    }))?;
    let mut card = Card::new(&job, encoder, head, "", 0);
    card.classes = (0..CLASSES).map(|class| class.to_string()).collect();
    let parts = [&model.parameters, &model.statistics];
    match artifact::save(exchange.folder(), kind, &parts, &card)? {
        Event::Artifact { path, .. } => Ok(path),
        other => bail!("saving the {kind} reported {other:?}"),
    }
}
