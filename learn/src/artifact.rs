//! The files that a job leaves for other jobs and for people: weights as safetensors under torchvision's names, and a card
//! that describes them. Nothing in them depends on who computed them or when: equal training gives equal bytes.

use std::path::Path;

use serde::{Deserialize, Serialize};
use tandem_domain::spec::{Dataset, Encoder, JobSpec, Stage};
use tch::Device;

use crate::classifier::Classifier;
use crate::data::Data;
use crate::encoder::{HeadShape, Model};
use crate::failure::Failure;
use crate::files::{publish, read, sha256};
use crate::flat::FlatTensors;
use crate::progress;
use crate::report::Event;
use crate::task::InputFile;
use crate::weights;

const FORMAT: u32 = 2;

/// How bytes become the input of the network: `(byte / 255 - mean) / std` per channel.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Preprocessing {
    pub mean: [f32; 3],
    pub std: [f32; 3],
    /// Rows and columns, in pixels.
    pub side: u32,
}

impl Default for Preprocessing {
    /// Pixels in [0, 1], as SimCLR: distances of attacks are then distances of pixels.
    fn default() -> Self {
        Self { mean: [0.0; 3], std: [1.0; 3], side: crate::data::SIDE as u32 }
    }
}

/// The metadata of the file, as JSON under the key `tandem`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Card {
    format: u32,
    pub encoder: Encoder,
    /// The layers on the encoder: their names begin with `head.` in a projection, with `fc.` in a classifier.
    pub head: Option<HeadShape>,
    /// Names of the classes, in the order of the logits; empty for an encoder.
    pub classes: Vec<String>,
    pub preprocessing: Preprocessing,
    /// The training images whose labels it has seen, ascending; `None` if it has seen all, or if it is an encoder.
    pub labelled: Option<Vec<i64>>,
    /// Stage and parameters that made it.
    pub stage: Stage,
    pub dataset: Dataset,
    /// Checksum of the training images and labels.
    pub data_checksum: String,
    pub seed: u64,
    pub shards: u32,
    pub threads: u32,
    /// Updates of the weights.
    pub step: u64,
    pub learn_version: String,
    /// SHA-256 of the files that it was made from.
    pub inputs: Vec<String>,
}

impl Card {
    pub fn new(spec: &JobSpec, encoder: Encoder, head: Option<HeadShape>, data_checksum: &str, step: u64) -> Self {
        Self {
            format: FORMAT,
            encoder,
            head,
            classes: Vec::new(),
            preprocessing: Preprocessing::default(),
            labelled: None,
            stage: spec.stage.clone(),
            dataset: spec.dataset.clone(),
            data_checksum: data_checksum.to_owned(),
            seed: spec.seed,
            shards: spec.shards,
            threads: spec.threads,
            step,
            learn_version: tandem_domain::LEARN_VERSION.to_owned(),
            inputs: Vec::new(),
        }
    }

    /// The card of a classifier for the classes of `data`, trained on the labels of its images `labelled`.
    pub fn with_classes(mut self, data: &Data, labelled: Vec<i64>) -> Self {
        self.classes.clone_from(&data.classes);
        self.labelled = (labelled.len() < data.train.len()).then_some(labelled);
        self
    }
}

/// Writes `folder/{kind}.safetensors`, durably, and returns the event to report.
pub fn save(folder: &Path, kind: &str, parts: &[&FlatTensors], card: &Card) -> Result<Event, Failure> {
    let wrong = |error: &dyn std::fmt::Display| Failure::Unknown(format!("cannot encode the {kind}: {error}"));
    let card = serde_json::to_string(card).map_err(|error| wrong(&error))?;
    let parts: Vec<(&str, &FlatTensors)> = parts.iter().map(|flat| ("", *flat)).collect();
    let bytes = weights::encode(&parts, &card).map_err(|error| wrong(&error))?;
    write(folder, kind, &format!("{kind}.safetensors"), &bytes)
}

/// Writes `folder/name`, durably, and returns the event to report.
pub(crate) fn write(folder: &Path, kind: &str, name: &str, bytes: &[u8]) -> Result<Event, Failure> {
    let path = publish(folder, name, bytes)?;
    progress::wait_done();
    let (sha256, bytes) = (sha256(bytes), bytes.len() as u64);
    Ok(Event::Artifact { kind: kind.into(), name: name.into(), path, sha256, bytes })
}

/// Loads an encoder without its projection head.
pub fn load_encoder(input: &InputFile, device: Device) -> Result<(Model, Card), Failure> {
    let file = ArtifactFile::new(input, "encoder")?;
    let model = file.model(None, device)?;
    Ok((model, file.card))
}

/// Loads a classifier: the same function that its job evaluated, up to rounding.
pub fn load_classifier(input: &InputFile, device: Device) -> Result<(Classifier, Card), Failure> {
    let file = ArtifactFile::new(input, "classifier")?;
    let model = file.model(file.card.head, device)?;
    let classifier = Classifier::new(model).ok_or_else(|| {
        unusable(file.kind, input, "it ends in no classes; name a linear, supervised or finetune job in `from`".into())
    })?;
    Ok((classifier, file.card))
}

/// Reads an artifact's tensors into those of a network that is there, bit for bit.
pub(crate) fn load_into(input: &InputFile, kind: &'static str, parts: &[&FlatTensors]) -> Result<(), Failure> {
    let file = ArtifactFile::new(input, kind)?;
    let parts: Vec<(&str, &FlatTensors)> = parts.iter().map(|flat| ("", *flat)).collect();
    weights::decode(&file.bytes, &parts).map_err(|error| unusable(kind, input, error.to_string()))
}

/// An artifact's bytes, verified, and its card.
struct ArtifactFile<'a> {
    kind: &'static str,
    input: &'a InputFile,
    bytes: Vec<u8>,
    card: Card,
}

impl<'a> ArtifactFile<'a> {
    fn new(input: &'a InputFile, kind: &'static str) -> Result<Self, Failure> {
        let path = input.path.display();
        let bytes = read(&input.path).map_err(|error| {
            Failure::InputMissing(format!(
                "{error}; this job starts from the {kind} there: does this worker see the coordinator's store?"
            ))
        })?;
        let found = sha256(&bytes);
        if found != input.sha256 {
            return Err(Failure::InputMissing(format!(
                "the {kind} at {path} has sha256 {found}, not {} as when it was made: it was damaged or replaced; \
                 run its job again with --fresh",
                input.sha256
            )));
        }
        let unusable = |why: String| unusable(kind, input, why);
        let card = weights::metadata(&bytes).map_err(|error| unusable(error.to_string()))?;
        // The format first: the card of another format may not be readable.
        let Format { format } = serde_json::from_str(&card).map_err(|error| unusable(format!("its card: {error}")))?;
        if format != FORMAT {
            return Err(unusable(format!(
                "its format is {format}, this version reads {FORMAT}; run its job again with --fresh"
            )));
        }
        let card = serde_json::from_str(&card).map_err(|error| unusable(format!("its card: {error}")))?;
        Ok(Self { kind, input, bytes, card })
    }

    fn model(&self, head: Option<HeadShape>, device: Device) -> Result<Model, Failure> {
        let model = Model::build(self.card.encoder, head, device).ok_or_else(|| {
            unusable(self.kind, self.input, format!("this version cannot build {:?}", self.card.encoder))
        })?;
        weights::decode(&self.bytes, &[("", &model.parameters), ("", &model.statistics)])
            .map_err(|error| unusable(self.kind, self.input, error.to_string()))?;
        Ok(model)
    }
}

#[derive(Deserialize)]
struct Format {
    format: u32,
}

fn unusable(kind: &str, input: &InputFile, why: String) -> Failure {
    Failure::Job(format!("cannot use the {kind} at {}: {why}", input.path.display()))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use tandem_domain::spec;
    use tch::{Kind, Tensor};

    fn job() -> JobSpec {
        serde_json::from_str(
            r#"{"name": "s", "dataset": "shapes", "seed": 1, "workers": {"min": 1, "max": 1}, "shards": 1, "threads": 1,
                "inputs": [], "stage": {"stage": "supervised", "encoder": "resnet-tiny"}}"#,
        )
        .unwrap()
    }

    fn saved(folder: &Path, head: HeadShape) -> (Model, InputFile) {
        let model = Model::build(Encoder::ResNetTiny, Some(head), Device::Cpu).unwrap();
        tch::manual_seed(7);
        for flat in [&model.parameters, &model.statistics] {
            flat.named().for_each(|(_, view)| drop(tch::no_grad(|| view.shallow_clone().uniform_(0.1, 0.2))));
        }
        let card = Card::new(&job(), Encoder::ResNetTiny, Some(head), "checksum", 5);
        let event = save(folder, "classifier", &[&model.parameters, &model.statistics], &card).unwrap();
        let Event::Artifact { kind, path, sha256, .. } = event else { panic!("{event:?}") };
        (model, InputFile { kind, path, sha256 })
    }

    #[test]
    fn a_classifier_comes_back_as_the_same_function() {
        let folder = tempfile::tempdir().unwrap();
        for layers in [1, 2] {
            let head = HeadShape::FullyConnected { layers, classes: 4 };
            let (model, file) = saved(folder.path(), head);
            let (classifier, card) = load_classifier(&file, Device::Cpu).unwrap();
            assert_eq!((card.head, card.step, classifier.classes()), (Some(head), 5, 4));
            let images = Tensor::rand([3, 3, 32, 32], (Kind::Float, Device::Cpu));
            // Up to the rounding of BatchNorms that became part of convolutions.
            assert!(classifier.logits(&images).allclose(&model.evaluate(&images), 1e-5, 0.0, false));
        }
    }

    #[test]
    fn a_projection_head_and_a_card_of_another_version_are_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let refused = |file: &InputFile| load_classifier(file, Device::Cpu).unwrap_err().to_string();
        let (_, file) = saved(folder.path(), HeadShape::Projection(spec::Head::default()));
        let why = refused(&file);
        assert!(why.contains("ends in no classes") && why.contains("supervised"), "{why}");

        let bytes = weights::encode(&[], r#"{"format": 1, "head": {"hidden": 0}}"#).unwrap();
        let path: PathBuf = folder.path().join("old.safetensors");
        std::fs::write(&path, &bytes).unwrap();
        let why = refused(&InputFile { kind: "classifier".into(), path, sha256: sha256(&bytes) });
        assert!(why.contains("its format is 1, this version reads 2"), "{why}");
    }
}
