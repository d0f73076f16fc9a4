//! Submits: what would run, what was stored, how it ended.

use serde::Serialize;
use tandem_proto::v1;

use super::job::Job;

#[derive(Serialize)]
pub(crate) struct Submitted {
    #[serde(skip_serializing_if = "String::is_empty")]
    experiment_id: String,
    experiment: String,
    dry_run: bool,
    jobs: Vec<PlannedJob>,
}

impl Submitted {
    pub(crate) fn new(response: &v1::SubmitResponse, dry_run: bool) -> Self {
        Self {
            experiment_id: response.experiment_id.clone(),
            experiment: response.name.clone(),
            dry_run,
            jobs: response.jobs.iter().map(PlannedJob::from).collect(),
        }
    }
}

/// `submit --wait`: the jobs as they ended.
#[derive(Serialize)]
pub(crate) struct Finished {
    pub(crate) experiment_id: String,
    pub(crate) experiment: String,
    pub(crate) jobs: Vec<Job>,
}

#[derive(Serialize)]
struct PlannedJob {
    #[serde(skip_serializing_if = "String::is_empty")]
    id: String,
    name: String,
    stage: String,
    inputs: Vec<String>,
    workers_min: u32,
    workers_max: u32,
    shards: u32,
    content_key: String,
    reused: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    estimate: Option<Estimate>,
    #[serde(skip_serializing_if = "String::is_empty")]
    refusal: String,
}

impl From<&v1::PlannedJob> for PlannedJob {
    fn from(job: &v1::PlannedJob) -> Self {
        Self {
            id: job.job_id.clone(),
            name: job.name.clone(),
            stage: job.stage.clone(),
            inputs: job.inputs.clone(),
            workers_min: job.workers_min,
            workers_max: job.workers_max,
            shards: job.shards,
            content_key: job.content_key.clone(),
            reused: job.reused,
            estimate: job.estimate.as_ref().map(Estimate::from),
            refusal: job.refusal.clone(),
        }
    }
}

#[derive(Serialize)]
struct Estimate {
    steps: u64,
    images_per_epoch: u64,
    images: u64,
    parameters: u64,
    gflop: f64,
    memory_bytes: u64,
    seconds: f64,
    #[serde(skip_serializing_if = "String::is_empty")]
    basis: String,
}

impl From<&v1::Estimate> for Estimate {
    fn from(estimate: &v1::Estimate) -> Self {
        Self {
            steps: estimate.steps,
            images_per_epoch: estimate.images_per_epoch,
            images: estimate.images,
            parameters: estimate.parameters,
            gflop: estimate.gflop,
            memory_bytes: estimate.memory_bytes,
            seconds: estimate.seconds,
            basis: estimate.basis.clone(),
        }
    }
}
