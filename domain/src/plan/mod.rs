//! From an experiment file to the jobs that will run.
//!
//! ```text
//! text -> file (tables by `syntax`, typed by `stage` and `read` within `bounds`, swept by `sweep`, completed by
//!         `defaults`, checked by `conflict` and `unused`)
//!      -> graph (order) -> expand (jobs) -> content (key), estimate
//! ```
//!
//! Pure: the coordinator calls it at submit and for `--dry-run`. A wrong file is refused with all its faults.

mod architecture;
mod bounds;
mod conflict;
mod content;
mod defaults;
mod estimate;
mod expand;
pub(crate) mod fault;
mod file;
mod graph;
mod parallelism;
mod read;
mod schema;
mod stage;
mod sweep;
pub(crate) mod syntax;
mod template;
#[cfg(test)]
mod tests;
mod unused;
mod variant;

use std::collections::HashMap;

pub use content::{content_key, fresh_key};
pub use estimate::Estimate;
pub use fault::{SpecError, SpecErrors};
pub use file::{PRIORITY_OF_PROOFS, STAGES, TOP, check_stage, checked_priority};
pub use schema::{schema, stage_schema};
pub use template::template;

use crate::{
    images::KnownImages,
    spec::{Encoder, JobSpec},
};
use fault::{Fault, Faults};

pub const FILE_BYTES_MAX: usize = 256 * 1024;

#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    pub name: String,
    /// Priority of all its jobs: higher goes first. Not part of their content.
    pub priority: i32,
    /// In topological order: every job comes after its inputs.
    pub jobs: Vec<PlannedJob>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct PlannedJob {
    pub spec: JobSpec,
    /// Equal keys, equal results: see [`content_key`].
    pub content_key: String,
    /// The checksum of its images, where that is known and part of the key; see [`Plan::set_images`].
    pub images: Option<String>,
    /// The key that a job of this content has that was stored without the checksum.
    pub key_without_images: Option<String>,
    /// Why this version cannot run it; `None` if it can.
    pub refusal: Option<String>,
    pub estimate: Estimate,
    encoder: Option<Encoder>,
    /// The kind of work in words, such as "supervised resnet18 exact": jobs of one kind run at one speed.
    pub work: String,
}

impl Plan {
    /// Makes the checksums of the images part of the keys, and their number part of the estimates, as far as they are known by
    /// the names of data sets.
    pub fn set_images(&mut self, known: &HashMap<String, KnownImages>, learn_version: &str) {
        let mut keys: HashMap<&str, String> = HashMap::new();
        for PlannedJob { spec, content_key, images, key_without_images, refusal, estimate, encoder, .. } in
            &mut self.jobs
        {
            let inputs: Vec<&str> =
                spec.inputs.iter().filter_map(|name| keys.get(name.as_str())).map(String::as_str).collect();
            let known = known.get(&spec.dataset.to_string());
            *images = known.map(|known| known.sha256.clone());
            if let Some(counts) = known.and_then(|known| known.counts).filter(|_| spec.dataset.counts().is_none()) {
                *estimate = estimate::estimate(spec, *encoder, Some(counts));
                *refusal = refusal.take().or_else(|| conflict::with_images(&spec.stage, &spec.dataset, counts));
            }
            let key = content::content_key(spec, images.as_deref(), &inputs, learn_version);
            if key != *content_key {
                *key_without_images = Some(std::mem::replace(content_key, key.clone()));
            }
            keys.insert(&spec.name, key);
        }
    }
}

/// Reads, checks and expands an experiment file.
///
/// `file_name` is for messages only; `learn_version` is [`crate::LEARN_VERSION`], except in tests.
///
/// # Errors
/// The faults of the file, each with its place and what was expected.
pub fn plan(toml: &str, file_name: &str, learn_version: &str) -> Result<Plan, SpecErrors> {
    read(toml, learn_version).map_err(|faults| faults.into_errors(file_name, toml))
}

fn read(toml: &str, learn_version: &str) -> Result<Plan, Faults> {
    if toml.len() > FILE_BYTES_MAX {
        let message = format!("the file has {} bytes; expected at most {FILE_BYTES_MAX}", toml.len());
        return Err(Fault::new(0..0, "", message).into());
    }
    let root = syntax::parse(toml)?;
    let mut faults = Faults::default();
    let file = file::read(&root, &mut faults);
    let order = graph::order(&file, &mut faults);
    let expanded = expand::expand(&file, order, &mut faults);
    let expanded = faults.or(expanded)?;
    let mut keys: HashMap<String, String> = HashMap::new();
    let mut jobs = Vec::new();
    for job in expanded {
        let inputs: Vec<&str> = job.spec.inputs.iter().filter_map(|name| keys.get(name)).map(String::as_str).collect();
        let content_key = content_key(&job.spec, None, &inputs, learn_version);
        keys.insert(job.spec.name.clone(), content_key.clone());
        let work = estimate::work(&job);
        let estimate = estimate::estimate(&job.spec, job.encoder, job.spec.dataset.counts());
        jobs.push(PlannedJob {
            spec: job.spec,
            content_key,
            images: None,
            key_without_images: None,
            refusal: None,
            estimate,
            encoder: job.encoder,
            work,
        });
    }
    Ok(Plan { name: file.name, priority: file.priority, jobs })
}
