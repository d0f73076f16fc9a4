//! Jobs: `list`, `watch`, `cancel`, `logs`.

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
    priority: i32,
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
            priority: job.priority,
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
