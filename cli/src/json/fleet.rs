//! `status`: the box.

use chrono::{DateTime, Utc};
use serde::Serialize;
use tandem_proto::v1;

use crate::{render::state, time::utc};

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

/// `release`: the worker as it is now.
#[derive(Serialize)]
pub(crate) struct Released {
    was_quarantined: bool,
    worker: Option<Worker>,
}

impl From<&v1::ReleaseResponse> for Released {
    fn from(response: &v1::ReleaseResponse) -> Self {
        Self { was_quarantined: response.was_quarantined, worker: response.worker.as_ref().map(Worker::from) }
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
    #[serde(skip_serializing_if = "String::is_empty")]
    quarantine_reason: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    quarantined_until: Option<DateTime<Utc>>,
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
            quarantine_reason: worker.quarantine_reason.clone(),
            quarantined_until: utc(&worker.quarantined_until),
        }
    }
}
