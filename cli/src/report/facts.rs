//! What a report is made from, and how its jobs are named.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use tandem_domain::{
    receipt::Receipt,
    statistics::{Summary, summary},
};
use tandem_draw::{plot::Series, radius::Curve};
use tandem_proto::v1::{DeviceReport, Job, JobState};

use crate::render::{
    job::value,
    job_specs::JobSpecs,
    labels::configuration,
    pivot::test_accuracy,
    units::{id_length, short_id},
};

/// Ids that are written out beside a figure.
const MOST_IDS: usize = 6;

/// All that was asked of the coordinator.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    pub(crate) target: String,
    /// In the order of the file.
    pub(crate) jobs: Vec<Job>,
    /// There are more jobs than these.
    pub(crate) is_cut: bool,
    /// By the id of the job.
    pub(crate) receipts: HashMap<String, Receipt>,
    pub(crate) devices: HashMap<String, Vec<DeviceReport>>,
    /// `curve.csv` of attacks.
    pub(crate) curves: HashMap<String, String>,
    /// What attacks said of their checks that failed.
    pub(crate) gates: HashMap<String, Vec<String>>,
    /// By step, and the metrics that they are of.
    pub(crate) training: Vec<Series>,
    /// By job and metric: the newest value, of the layers of encoders.
    pub(crate) last: HashMap<(String, String), f64>,
    /// For each image the smallest distance of all attacks on its classifier.
    pub(crate) best: Vec<Curve>,
    /// What could not be had, a sentence each.
    pub(crate) problems: Vec<String>,
    pub(crate) now: DateTime<Utc>,
}

impl Facts {
    /// The newest value of a curve of one job, where it was asked for.
    pub(crate) fn last_of(&self, job: &str, metric: &str) -> Option<f64> {
        self.last.get(&(job.to_owned(), metric.to_owned())).copied()
    }
}

/// The facts with what all sections ask of them.
pub(crate) struct View<'a> {
    pub(crate) facts: &'a Facts,
    pub(crate) specs: JobSpecs<'a>,
    length: usize,
}

/// Runs of one configuration: they differ in their seed alone.
#[derive(Clone, Debug)]
pub(crate) struct Runs<'a> {
    pub(crate) name: String,
    pub(crate) jobs: Vec<&'a Job>,
}

impl<'a> View<'a> {
    pub(crate) fn new(facts: &'a Facts) -> Self {
        let length = id_length(facts.jobs.iter().map(|job| job.id.as_str()));
        Self { facts, specs: JobSpecs::new(&facts.jobs), length }
    }

    /// The jobs that are `wanted`, by configuration, in the order of the file.
    pub(crate) fn runs(&self, wanted: impl Fn(&Job) -> bool) -> Vec<Runs<'a>> {
        let mut all: Vec<Runs<'a>> = Vec::new();
        for job in self.facts.jobs.iter().filter(|job| wanted(job)) {
            let name = configuration(&job.name, false);
            match all.iter_mut().find(|runs| runs.name == name) {
                Some(runs) => runs.jobs.push(job),
                None => all.push(Runs { name, jobs: vec![job] }),
            }
        }
        all
    }

    /// As `tandem show` takes it.
    pub(crate) fn id(&self, job: &Job) -> String {
        short_id(&job.id, self.length).to_owned()
    }

    pub(crate) fn ids(&self, jobs: &[&Job]) -> String {
        let mut ids: Vec<String> = jobs.iter().take(MOST_IDS).map(|job| self.id(job)).collect();
        if jobs.len() > MOST_IDS {
            ids.push(format!("and {} more", jobs.len() - MOST_IDS));
        }
        ids.join(", ")
    }

    /// A key of a job's spec as a number, its own or that of what it starts from; 0 where it has none.
    pub(crate) fn number(&self, job: &Job, key: &str) -> f64 {
        self.specs.value(job, key).and_then(|text| text.parse().ok()).unwrap_or(0.0)
    }

    /// Whether a loss is on each layer of the encoder.
    pub(crate) fn is_layerwise(&self, job: &Job) -> bool {
        self.specs.value(job, "layerwise").is_some()
    }

    /// Whether something ran on a GPU.
    pub(crate) fn has_cards(&self) -> bool {
        let kinds = self.facts.devices.values().flatten().filter_map(|report| report.device.as_ref());
        kinds.into_iter().any(|device| device.kind == "cuda")
    }
}

impl Runs<'_> {
    /// Of the runs that have this result; `None` if there are none.
    pub(crate) fn summary(&self, name: &str) -> Option<Summary> {
        let of = |job: &&Job| if name == "test_accuracy" { test_accuracy(job) } else { value(&job.results, name) };
        summary(&self.jobs.iter().filter_map(of).collect::<Vec<f64>>())
    }

    /// Those that have this result.
    pub(crate) fn with(&self, name: &str) -> Vec<&Job> {
        let has = |job: &&Job| match name {
            "test_accuracy" => test_accuracy(job).is_some(),
            _ => value(&job.results, name).is_some(),
        };
        self.jobs.iter().copied().filter(has).collect()
    }
}

/// In words, for each state that some jobs are in: `7 succeeded, 1 running`.
pub(crate) fn states(jobs: &[&Job]) -> String {
    let order = [
        JobState::Succeeded,
        JobState::Running,
        JobState::Queued,
        JobState::Blocked,
        JobState::Paused,
        JobState::Failed,
        JobState::Cancelled,
    ];
    let count = |state: JobState| jobs.iter().filter(|job| job.state() == state).count();
    let told = order.into_iter().map(|state| (count(state), crate::render::state::job(state)));
    told.filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}")).collect::<Vec<_>>().join(", ")
}
