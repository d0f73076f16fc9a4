//! All that a comparison says, as `--json` prints it.

use serde::Serialize;
use tandem_proto::v1::Job;

use super::{
    figures::{self, Measured},
    images::{self, Tested, Verdicts},
    pairs::{Alone, Pair, Side},
    parameters::{self, Differing},
    surroundings::{self, Receipts},
};
use crate::render::state;

/// `compare`.
#[derive(Debug, Serialize)]
pub(crate) struct Comparison {
    pub(crate) sides: Vec<SideTold>,
    pub(crate) pairs: Vec<PairTold>,
    /// What one side alone has, which is compared with nothing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) alone: Vec<AloneTold>,
}

#[derive(Debug, Serialize)]
pub(crate) struct SideTold {
    pub(crate) letter: String,
    pub(crate) target: String,
    pub(crate) experiment: String,
    pub(crate) experiment_id: String,
    pub(crate) jobs: usize,
    /// There are more jobs than that.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) is_cut: bool,
}

#[derive(Debug, Serialize)]
pub(crate) struct AloneTold {
    pub(crate) side: String,
    pub(crate) name: String,
}

#[derive(Debug, Serialize)]
pub(crate) struct PairTold {
    pub(crate) name: String,
    /// By side.
    pub(crate) jobs: Vec<Vec<JobTold>>,
    pub(crate) differs: Vec<DiffersTold>,
    /// Data set and checksum, by side.
    pub(crate) data: Vec<String>,
    pub(crate) results: Vec<Measured>,
    pub(crate) images: Vec<Tested>,
    /// What a person should know, a sentence each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) remarks: Vec<String>,
}

#[derive(Debug, Serialize)]
pub(crate) struct JobTold {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) state: &'static str,
}

#[derive(Debug, Serialize)]
pub(crate) struct DiffersTold {
    /// "parameter", "environment" or "data".
    pub(crate) what: &'static str,
    pub(crate) key: String,
    /// By side; empty where it has none.
    pub(crate) values: Vec<String>,
}

/// What was asked of the coordinator, beside the jobs.
#[derive(Debug, Default)]
pub(crate) struct Known {
    pub(crate) receipts: Receipts,
    pub(crate) verdicts: Verdicts,
    /// What could not be had, a sentence each, with the job's id.
    pub(crate) problems: Vec<(String, String)>,
}

pub(crate) fn comparison(sides: &[Side], pairs: Vec<Pair<'_>>, alone: Vec<Alone>, known: &Known) -> Comparison {
    Comparison {
        sides: sides.iter().map(side).collect(),
        pairs: pairs.into_iter().map(|pair| told(sides, pair, known)).collect(),
        alone: alone.into_iter().map(|one| AloneTold { side: one.letter, name: one.name }).collect(),
    }
}

fn side(side: &Side) -> SideTold {
    let first = side.jobs.first();
    SideTold {
        letter: side.letter.clone(),
        target: side.target.clone(),
        experiment: first.map(|job| job.experiment_name.clone()).unwrap_or_default(),
        experiment_id: first.map(|job| job.experiment_id.clone()).unwrap_or_default(),
        jobs: side.jobs.len(),
        is_cut: side.is_cut,
    }
}

fn told(sides: &[Side], pair: Pair<'_>, known: &Known) -> PairTold {
    let Pair { name, jobs } = pair;
    let data = surroundings::data(&known.receipts, &jobs);
    let mut differs: Vec<DiffersTold> = Vec::new();
    let mut add = |what, found: Vec<Differing>| {
        differs.extend(found.into_iter().map(|one| DiffersTold { what, key: one.key, values: one.values }));
    };
    add("parameter", parameters::differing(sides, &jobs));
    add("environment", surroundings::environment(&known.receipts, &jobs));
    if parameters::differs(&data, &jobs) {
        add("data", vec![Differing { key: "images".to_owned(), values: data.clone() }]);
    }
    let (images, mut remarks) = images::tested(sides, &jobs, &known.verdicts, &known.receipts);
    let is_here = |id: &String| jobs.iter().flatten().any(|job| job.id == *id);
    remarks.extend(known.problems.iter().filter(|(id, _)| is_here(id)).map(|(_, why)| why.clone()));
    let job = |job: &&Job| JobTold { id: job.id.clone(), name: job.name.clone(), state: state::job(job.state()) };
    PairTold {
        results: figures::measured(&jobs),
        jobs: jobs.iter().map(|jobs| jobs.iter().map(job).collect()).collect(),
        name,
        differs,
        data,
        images,
        remarks,
    }
}
