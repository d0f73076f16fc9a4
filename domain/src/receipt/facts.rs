//! What a receipt says.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::environment::Environment;

/// Version of the receipt's fields.
pub const FORMAT: u32 = 1;

/// Checkpoints that a receipt lists; of more, it lists some, evenly.
pub const CHECKPOINTS_MAX: usize = 256;

/// All that a job's result was made of and by. A field is a fact of the house's database when the job had succeeded; the
/// same rows give the same receipt again, byte for byte.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Receipt {
    pub format: u32,
    pub job: Job,
    pub key: Key,
    /// Everything that training was told, as it is stored.
    pub spec: Json,
    /// Checksum of the images and labels of the data set; `None` where it was not known when the job was submitted.
    pub images: Option<String>,
    /// In the order of the spec.
    pub inputs: Vec<Input>,
    /// In their order, those that were lost included.
    pub attempts: Vec<Attempt>,
    /// How many were stored, at most [`CHECKPOINTS_MAX`] of which follow.
    pub checkpoints_stored: u64,
    /// By step, those whose files were removed since included.
    pub checkpoints: Vec<Checkpoint>,
    pub artifacts: Vec<Artifact>,
    /// Final figures: a number, or "NaN", "inf", "-inf".
    pub results: BTreeMap<String, Json>,
    pub times: Times,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    pub id: String,
    pub name: String,
    pub experiment: String,
    pub stage: String,
    pub seed: u64,
    /// Logical parts of a batch.
    pub shards: u32,
    /// The job that this one ran anew, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reproduces: Option<String>,
    /// The steps of it that were replayed; `None` if all of it was run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replayed: Option<Replayed>,
}

/// From the checkpoint of one step, or else the beginning, to the state after another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replayed {
    pub from_step: u64,
    pub until_step: u64,
}

/// What makes jobs of equal content one job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    pub content_key: String,
    /// Version of what training computes that the key was made for; empty of jobs of earlier versions.
    pub learn_version: String,
    /// The experiment, if it was submitted to share no job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub salt: Option<String>,
    /// Whether the key follows from spec, images and inputs, as [`derived`](super::derived) found when the receipt was made.
    pub derived: Option<bool>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Input {
    pub job: String,
    pub content_key: String,
    /// SHA-256 of the statement of its own receipt; `None` of a job that ended before there were receipts.
    pub receipt_sha256: Option<String>,
    pub artifacts: Vec<Artifact>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Artifact {
    pub kind: String,
    pub name: String,
    pub bytes: u64,
    pub sha256: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    pub number: u32,
    pub fence: i64,
    pub state: String,
    /// Why it ended, in words.
    pub cause: String,
    pub world_size: u32,
    /// Step that it began at.
    pub first_step: u64,
    pub assigned_at: DateTime<Utc>,
    pub training_at: Option<DateTime<Utc>>,
    pub ended_at: Option<DateTime<Utc>>,
    pub ranks: Vec<Rank>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rank {
    pub rank: u32,
    /// How it ended; empty if that was never known.
    pub outcome: String,
    pub cause: String,
    /// `None` if it ended before it could say, or its worker is of a version that does not.
    pub environment: Option<Environment>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    pub step: u64,
    /// Of the attempt that wrote it.
    pub fence: i64,
    /// Proves the checkpoint's files, with times that differ from run to run.
    pub sha256: String,
    /// Of the state alone, which an equal run has too; empty if the worker is of a version that does not say.
    pub state_sha256: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Times {
    pub created_at: DateTime<Utc>,
    pub started_at: Option<DateTime<Utc>>,
    pub finished_at: Option<DateTime<Utc>>,
}

/// A figure as a receipt has it: JSON knows no other numbers than finite ones.
pub fn figure(value: f64) -> Json {
    serde_json::Number::from_f64(value).map_or_else(|| Json::from(value.to_string()), Json::Number)
}

/// Which of `count` checkpoints a receipt lists: all, or `max` of them evenly, the last among them.
pub fn thinned(count: usize, max: usize) -> Vec<usize> {
    match count <= max || max == 0 {
        true => (0..count).collect(),
        false => (1..=max).map(|i| (i * count).div_ceil(max) - 1).collect(),
    }
}

impl Receipt {
    /// The steps to replay so that a state is compared: from the newest of the kept checkpoints (by their steps) that a listed
    /// state follows, else from the beginning to the first listed one. `None` where the receipt lists no state.
    pub fn steps_to_replay(&self, kept: &[u64]) -> Option<Replayed> {
        let mut states: Vec<u64> =
            self.checkpoints.iter().filter(|state| !state.state_sha256.is_empty()).map(|state| state.step).collect();
        states.sort_unstable();
        let after = |step: u64| states.iter().copied().find(|state| *state > step);
        let kept = kept.iter().copied().filter(|step| after(*step).is_some()).max();
        let from_step = kept.unwrap_or(0);
        Some(Replayed { from_step, until_step: after(from_step)? })
    }

    /// The environments of all ranks that said theirs, each once.
    pub fn environments(&self) -> Vec<&Environment> {
        let ranks = self.attempts.iter().flat_map(|attempt| &attempt.ranks);
        let mut found: Vec<&Environment> = Vec::new();
        for environment in ranks.filter_map(|rank| rank.environment.as_ref()) {
            if !found.contains(&environment) {
                found.push(environment);
            }
        }
        found
    }
}
