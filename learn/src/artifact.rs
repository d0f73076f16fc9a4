//! What a job leaves behind for other jobs and for people: weights as safetensors under torchvision's names, and a card
//! that says what they are. Nothing in them depends on who computed them, or when: equal training is equal bytes.

use std::path::Path;

use serde::{Deserialize, Serialize};
use tandem_domain::spec::{Dataset, Encoder, Head, JobSpec, Stage};
use tch::Device;

use crate::encoder::Model;
use crate::failure::Failure;
use crate::files::{publish, read, sha256};
use crate::flat::Flat;
use crate::report::Event;
use crate::task::InputFile;
use crate::weights;

const FORMAT: u32 = 1;

/// The file's metadata, as JSON under the key `tandem`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Card {
    format: u32,
    pub encoder: Encoder,
    /// Present if the file has the projection head, under `head.`.
    pub head: Option<Head>,
    /// Stage and parameters that made it.
    pub stage: Stage,
    pub dataset: Dataset,
    /// Of the training images and labels.
    pub data_checksum: String,
    pub seed: u64,
    pub shards: u32,
    pub threads: u32,
    /// Updates that the weights have seen.
    pub step: u64,
    pub learn_version: String,
    /// SHA-256 of the files it was made from.
    pub inputs: Vec<String>,
}

impl Card {
    pub fn new(spec: &JobSpec, encoder: Encoder, head: Option<Head>, data_checksum: &str, step: u64) -> Self {
        Self {
            format: FORMAT,
            encoder,
            head,
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
}

/// Writes `job_dir/artifacts/{kind}.safetensors`, whole and on disk, and returns what to report of it.
pub fn save(job_dir: &Path, kind: &str, parts: &[&Flat], card: &Card) -> Result<Event, Failure> {
    let wrong = |error: &dyn std::fmt::Display| Failure::Job(format!("cannot encode the {kind}: {error}"));
    let card = serde_json::to_string(card).map_err(|error| wrong(&error))?;
    let parts: Vec<(&str, &Flat)> = parts.iter().map(|flat| ("", *flat)).collect();
    let bytes = weights::encode(&parts, &card).map_err(|error| wrong(&error))?;
    let name = format!("{kind}.safetensors");
    let path = publish(&job_dir.join("artifacts"), &name, &bytes)?;
    Ok(Event::Artifact { kind: kind.into(), name, path, sha256: sha256(&bytes), bytes: bytes.len() as u64 })
}

/// An encoder as its file holds it, without the projection head.
pub fn load_encoder(input: &InputFile, device: Device) -> Result<(Model, Card), Failure> {
    let path = input.path.display();
    let bytes = read(&input.path)?;
    let found = sha256(&bytes);
    if found != input.sha256 {
        return Err(Failure::Machine(format!(
            "the encoder at {path} has sha256 {found}, not {} as when it was made: it was damaged or replaced; \
             run its job again with --fresh",
            input.sha256
        )));
    }
    let unreadable = |why: String| Failure::Job(format!("cannot use the encoder at {path}: {why}"));
    let card = weights::metadata(&bytes).map_err(|error| unreadable(error.to_string()))?;
    let card: Card = serde_json::from_str(&card).map_err(|error| unreadable(format!("its card: {error}")))?;
    if card.format != FORMAT {
        return Err(unreadable(format!("its format is {}, this version reads {FORMAT}", card.format)));
    }
    let model = Model::blank(card.encoder, None, device)
        .ok_or_else(|| unreadable(format!("this version cannot build {:?}", card.encoder)))?;
    weights::decode(&bytes, &[("", &model.parameters), ("", &model.statistics)])
        .map_err(|error| unreadable(error.to_string()))?;
    Ok((model, card))
}
