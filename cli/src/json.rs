//! The JSON form of what commands print: a contract with scripts, so written by hand and not derived from the wire.
//!
//! Absent values are left out, times are RFC 3339 in UTC, states are the words people see.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use tandem_proto::v1;

use crate::{render::state, time::utc};

#[derive(Serialize)]
pub(crate) struct Jobs {
    pub(crate) jobs: Vec<Job>,
}

impl From<&[v1::Job]> for Jobs {
    fn from(jobs: &[v1::Job]) -> Self {
        Self { jobs: jobs.iter().map(Job::from).collect() }
    }
}

#[derive(Serialize)]
pub(crate) struct Job {
    id: String,
    experiment_id: String,
    experiment: String,
    name: String,
    stage: String,
    state: &'static str,
    #[serde(skip_serializing_if = "String::is_empty")]
    reason: String,
    owner: String,
    workers_min: u32,
    workers_max: u32,
    shards: u32,
    attempts: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    created_at: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    started_at: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    finished_at: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    progress: Option<Progress>,
    results: BTreeMap<String, f64>,
    #[serde(skip_serializing_if = "Value::is_null")]
    spec: Value,
    content_key: String,
    depends_on: Vec<String>,
}

impl From<&v1::Job> for Job {
    fn from(job: &v1::Job) -> Self {
        Self {
            id: job.id.clone(),
            experiment_id: job.experiment_id.clone(),
            experiment: job.experiment_name.clone(),
            name: job.name.clone(),
            stage: job.stage.clone(),
            state: state::job(job.state()),
            reason: job.reason.clone(),
            owner: job.owner.clone(),
            workers_min: job.workers_min,
            workers_max: job.workers_max,
            shards: job.shards,
            attempts: job.attempts,
            created_at: utc(&job.created_at),
            started_at: utc(&job.started_at),
            finished_at: utc(&job.finished_at),
            progress: job.progress.as_ref().map(Progress::from),
            results: scalars(&job.results),
            spec: serde_json::from_str(&job.spec_json).unwrap_or(Value::Null),
            content_key: job.content_key.clone(),
            depends_on: job.depends_on.clone(),
        }
    }
}

#[derive(Serialize)]
struct Progress {
    phase: String,
    step: u64,
    steps: u64,
    epoch: u32,
    epochs: u32,
    images_per_second: f64,
    seconds_left: f64,
    metrics: BTreeMap<String, f64>,
}

impl From<&v1::Progress> for Progress {
    fn from(progress: &v1::Progress) -> Self {
        Self {
            phase: progress.phase.clone(),
            step: progress.step,
            steps: progress.steps,
            epoch: progress.epoch,
            epochs: progress.epochs,
            images_per_second: progress.images_per_second,
            seconds_left: progress.seconds_left,
            metrics: scalars(&progress.metrics),
        }
    }
}

/// Values that are not finite become null: JSON has no other word for them.
fn scalars(scalars: &[v1::Scalar]) -> BTreeMap<String, f64> {
    scalars.iter().map(|scalar| (scalar.name.clone(), scalar.value)).collect()
}

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
            parameters: estimate.parameters,
            gflop: estimate.gflop,
            memory_bytes: estimate.memory_bytes,
            seconds: estimate.seconds,
            basis: estimate.basis.clone(),
        }
    }
}

#[derive(Serialize)]
pub(crate) struct Shown {
    #[serde(skip_serializing_if = "Option::is_none")]
    experiment: Option<Experiment>,
    jobs: Vec<Job>,
    attempts: Vec<Attempt>,
    checkpoints: Vec<Checkpoint>,
    artifacts: Vec<Artifact>,
    events: Vec<Event>,
}

impl From<&v1::ShowResponse> for Shown {
    fn from(shown: &v1::ShowResponse) -> Self {
        Self {
            experiment: shown.experiment.as_ref().map(Experiment::from),
            jobs: shown.jobs.iter().map(Job::from).collect(),
            attempts: shown.attempts.iter().map(Attempt::from).collect(),
            checkpoints: shown.checkpoints.iter().map(Checkpoint::from).collect(),
            artifacts: shown.artifacts.iter().map(Artifact::from).collect(),
            events: shown.events.iter().map(Event::from).collect(),
        }
    }
}

#[derive(Serialize)]
struct Experiment {
    id: String,
    name: String,
    owner: String,
    created_at: Option<DateTime<Utc>>,
    toml: String,
}

impl From<&v1::Experiment> for Experiment {
    fn from(experiment: &v1::Experiment) -> Self {
        Self {
            id: experiment.id.clone(),
            name: experiment.name.clone(),
            owner: experiment.owner.clone(),
            created_at: utc(&experiment.created_at),
            toml: experiment.toml.clone(),
        }
    }
}

#[derive(Serialize)]
struct Attempt {
    id: String,
    number: u32,
    fence: i64,
    state: &'static str,
    cause: String,
    assigned_at: Option<DateTime<Utc>>,
    training_at: Option<DateTime<Utc>>,
    ended_at: Option<DateTime<Utc>>,
    workers: Vec<String>,
    first_step: u64,
}

impl From<&v1::Attempt> for Attempt {
    fn from(attempt: &v1::Attempt) -> Self {
        Self {
            id: attempt.id.clone(),
            number: attempt.number,
            fence: attempt.fence,
            state: state::attempt(attempt.state()),
            cause: attempt.cause.clone(),
            assigned_at: utc(&attempt.assigned_at),
            training_at: utc(&attempt.training_at),
            ended_at: utc(&attempt.ended_at),
            workers: attempt.workers.clone(),
            first_step: attempt.first_step,
        }
    }
}

#[derive(Serialize)]
struct Checkpoint {
    step: u64,
    bytes: u64,
    sha256: String,
    path: String,
    at: Option<DateTime<Utc>>,
}

impl From<&v1::Checkpoint> for Checkpoint {
    fn from(checkpoint: &v1::Checkpoint) -> Self {
        Self {
            step: checkpoint.step,
            bytes: checkpoint.bytes,
            sha256: checkpoint.sha256.clone(),
            path: checkpoint.path.clone(),
            at: utc(&checkpoint.at),
        }
    }
}

#[derive(Serialize)]
struct Artifact {
    id: String,
    job_id: String,
    kind: String,
    name: String,
    bytes: u64,
    sha256: String,
    uri: String,
}

impl From<&v1::Artifact> for Artifact {
    fn from(artifact: &v1::Artifact) -> Self {
        Self {
            id: artifact.id.clone(),
            job_id: artifact.job_id.clone(),
            kind: artifact.kind.clone(),
            name: artifact.name.clone(),
            bytes: artifact.bytes,
            sha256: artifact.sha256.clone(),
            uri: artifact.uri.clone(),
        }
    }
}

#[derive(Serialize)]
struct Event {
    at: Option<DateTime<Utc>>,
    kind: String,
    message: String,
    job_id: String,
    #[serde(skip_serializing_if = "is_zero")]
    attempt: u32,
    #[serde(skip_serializing_if = "String::is_empty")]
    worker: String,
}

impl From<&v1::Event> for Event {
    fn from(event: &v1::Event) -> Self {
        Self {
            at: utc(&event.at),
            kind: event.kind.clone(),
            message: event.message.clone(),
            job_id: event.job_id.clone(),
            attempt: event.attempt,
            worker: event.worker.clone(),
        }
    }
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

#[derive(Serialize)]
pub(crate) struct LogLine {
    at: Option<DateTime<Utc>>,
    job: String,
    attempt: u32,
    rank: u32,
    line: String,
}

impl From<&v1::LogLine> for LogLine {
    fn from(line: &v1::LogLine) -> Self {
        Self {
            at: utc(&line.at),
            job: line.job_name.clone(),
            attempt: line.attempt,
            rank: line.rank,
            line: line.line.clone(),
        }
    }
}

/// `watch`: one line per snapshot.
#[derive(Serialize)]
pub(crate) struct Snapshot {
    pub(crate) jobs: Vec<Job>,
    pub(crate) done: bool,
}

#[derive(Serialize)]
pub(crate) struct Results {
    pub(crate) jobs: Vec<Job>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) plot: Option<String>,
}

#[derive(Serialize)]
pub(crate) struct Fetched {
    pub(crate) files: Vec<FetchedFile>,
}

#[derive(Serialize)]
pub(crate) struct FetchedFile {
    pub(crate) path: String,
    pub(crate) job: String,
    pub(crate) kind: String,
    pub(crate) bytes: u64,
    pub(crate) sha256: String,
}

#[derive(Serialize)]
pub(crate) struct Status {
    server: String,
    server_version: String,
    server_started_at: Option<DateTime<Utc>>,
    leader: String,
    running: u32,
    queued: u32,
    blocked: u32,
    workers: Vec<Worker>,
}

impl Status {
    pub(crate) fn new(server: &str, status: &v1::StatusResponse) -> Self {
        Self {
            server: server.to_owned(),
            server_version: status.server_version.clone(),
            server_started_at: utc(&status.server_started_at),
            leader: status.leader.clone(),
            running: status.running,
            queued: status.queued,
            blocked: status.blocked,
            workers: status.workers.iter().map(Worker::from).collect(),
        }
    }
}

#[derive(Serialize)]
struct Worker {
    id: String,
    name: String,
    host: String,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<Device>,
    last_seen: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "String::is_empty")]
    job_id: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    job: String,
    rank: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    facts: Option<Facts>,
}

#[derive(Serialize)]
struct Device {
    kind: String,
    index: u32,
    name: String,
    uuid: String,
    memory_bytes: u64,
    cores: u32,
    driver: String,
}

#[derive(Serialize)]
struct Facts {
    utilization_percent: u32,
    memory_used_bytes: u64,
    temperature_celsius: u32,
    power_watts: u32,
    foreign_processes: u32,
}

impl From<&v1::Worker> for Worker {
    fn from(worker: &v1::Worker) -> Self {
        let device = worker.device.as_ref().map(|device| Device {
            kind: device.kind.clone(),
            index: device.index,
            name: device.name.clone(),
            uuid: device.uuid.clone(),
            memory_bytes: device.memory_bytes,
            cores: device.cores,
            driver: device.driver.clone(),
        });
        let facts = worker.facts.as_ref().map(|facts| Facts {
            utilization_percent: facts.utilization_percent,
            memory_used_bytes: facts.memory_used_bytes,
            temperature_celsius: facts.temperature_celsius,
            power_watts: facts.power_watts,
            foreign_processes: facts.foreign_processes,
        });
        Self {
            id: worker.id.clone(),
            name: worker.name.clone(),
            host: worker.host.clone(),
            state: state::worker(worker.state()),
            device,
            last_seen: utc(&worker.last_seen),
            job_id: worker.job_id.clone(),
            job: worker.job_name.clone(),
            rank: worker.rank,
            facts,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::job::tests::running;

    #[test]
    fn a_job_reads_like_the_table() {
        let mut job = running();
        job.spec_json = r#"{"seed": 1}"#.to_owned();
        job.results = vec![v1::Scalar { name: "loss".to_owned(), value: f64::NAN }];
        let value = serde_json::to_value(Job::from(&job)).unwrap();
        assert_eq!(value["state"], "running");
        assert_eq!(value["spec"]["seed"], 1);
        assert_eq!(value["progress"]["metrics"]["loss"], 4.5);
        assert_eq!(value["results"]["loss"], Value::Null);
        assert!(value.get("reason").is_none() && value.get("finished_at").is_none());
    }
}
