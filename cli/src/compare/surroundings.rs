//! What jobs ran in and on which images, from their receipts.

use std::collections::HashMap;

use tandem_domain::receipt::{Environment, Receipt};
use tandem_proto::v1::Job;

use super::parameters::{Differing, differs};

/// Receipts by the id of their job; a job that has not succeeded has none.
pub(crate) type Receipts = HashMap<String, Receipt>;

const NOT_KNOWN: &str = "not known: no receipt";
/// Digits of a checksum that tell two apart.
const DIGITS: usize = 16;

type Fact = (&'static str, fn(&Environment) -> String);

const FACTS: [Fact; 9] = [
    ("training code", |one| one.learn_version.clone()),
    ("program", |one| one.version.clone()),
    ("kind of device", |one| one.device.kind.clone()),
    ("device", |one| one.device.name.clone()),
    ("driver", |one| one.device.driver.clone()),
    ("processor", |one| one.processor.clone()),
    ("instructions", |one| one.instructions.clone()),
    ("libtorch", |one| one.libtorch.clone()),
    ("threads of a shard", |one| one.threads.to_string()),
];

/// What of the environment is not the same for all sides.
pub(crate) fn environment(receipts: &Receipts, jobs: &[Vec<&Job>]) -> Vec<Differing> {
    let of = |fact: fn(&Environment) -> String, jobs: &[&Job]| {
        let environments = jobs.iter().filter_map(|job| receipts.get(&job.id)).flat_map(Receipt::environments);
        each_once(environments.map(fact), jobs)
    };
    let ranks = |jobs: &[&Job]| {
        let known = jobs.iter().filter_map(|job| receipts.get(&job.id)?.attempts.last());
        each_once(known.map(|attempt| attempt.world_size.to_string()), jobs)
    };
    let facts = FACTS
        .into_iter()
        .map(|(key, fact)| Differing { key: key.to_owned(), values: jobs.iter().map(|jobs| of(fact, jobs)).collect() });
    let ranks = Differing { key: "ranks".to_owned(), values: jobs.iter().map(|jobs| ranks(jobs)).collect() };
    facts.chain([ranks]).filter(|one| differs(&one.values, jobs)).collect()
}

/// The data set of each side, with the checksum of its images and labels.
pub(crate) fn data(receipts: &Receipts, jobs: &[Vec<&Job>]) -> Vec<String> {
    let of = |job: &&Job| {
        let spec: serde_json::Value = serde_json::from_str(&job.spec_json).unwrap_or_default();
        let name = spec.get("dataset").and_then(|name| name.as_str()).unwrap_or("not known").to_owned();
        let seed = spec.get("seed").map(ToString::to_string).unwrap_or_default();
        match receipts.get(&job.id).map(|receipt| &receipt.images) {
            Some(Some(sha256)) => format!("{name}, images {}", sha256.chars().take(DIGITS).collect::<String>()),
            // These are made from the seed.
            _ if name == "shapes" => format!("{name}, made from seed {seed}"),
            Some(None) => format!("{name}, no checksum known at submit"),
            None => format!("{name}, checksum {NOT_KNOWN}"),
        }
    };
    let joined = |jobs: &Vec<&Job>| {
        let mut all: Vec<String> = jobs.iter().map(of).collect();
        all.sort();
        all.dedup();
        all.join("; ")
    };
    jobs.iter().map(joined).collect()
}

fn each_once(values: impl Iterator<Item = String>, jobs: &[&Job]) -> String {
    let mut all: Vec<String> = values.filter(|value| !value.is_empty()).collect();
    all.sort();
    all.dedup();
    match (all.is_empty(), jobs.is_empty()) {
        (true, false) => NOT_KNOWN.to_owned(),
        _ => all.join(", "),
    }
}
