//! `show`: one job or one experiment.

use chrono::{DateTime, Utc};
use serde::Serialize;
use tandem_proto::v1;

use super::job::Job;
use crate::{render::state, time::utc};

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
