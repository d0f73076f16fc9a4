//! Figures of one moment: what is stored, and what is open here.

use std::{collections::BTreeMap, time::Duration};

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{family::Family, gauge::Gauge, info::Info},
    registry::{Registry, Unit},
};

use crate::store::gauges::Stored;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct State {
    state: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Device {
    state: String,
    device_kind: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Running {
    stage: String,
    device_kind: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Kind {
    kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Connection {
    pool: &'static str,
    state: &'static str,
}

/// What is open in this process.
#[derive(Clone, Debug, Default)]
pub(crate) struct Open {
    pub(crate) sessions: usize,
    /// Of the worker that was silent for longest.
    pub(crate) oldest_heartbeat: Option<Duration>,
    pub(crate) streams: usize,
    pub(crate) calls: usize,
    pub(crate) waiting_reports: usize,
    pub(crate) waiting_bytes: usize,
    /// Idle and taken connections of each pool.
    pub(crate) pools: Vec<(&'static str, usize, usize)>,
}

/// All states, so that a figure is 0 and not absent: an alarm for what is absent would be one for every quiet hour.
const JOBS: [&str; 3] = ["blocked", "queued", "running"];
const TELLS: [&str; 2] = ["pending", "given up"];

type Gauges<Labels> = Family<Labels, Gauge>;

pub(super) fn register(registry: &mut Registry, stored: Option<&Stored>, open: &Open) {
    let info = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
    registry.register("build", "The version of this coordinator", info);
    gauge(registry, "database_up", "Whether the database answered this time", i64::from(stored.is_some()));
    of_open(registry, open);
    if let Some(stored) = stored {
        of_stored(registry, stored);
    }
}

fn gauge(registry: &mut Registry, name: &str, help: &str, value: i64) {
    let gauge: Gauge = Gauge::default();
    gauge.set(value);
    registry.register(name, help, gauge);
}

fn count(value: usize) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn of_open(registry: &mut Registry, open: &Open) {
    gauge(registry, "worker_sessions", "Workers whose stream this coordinator holds", count(open.sessions));
    let age: Gauge<f64, std::sync::atomic::AtomicU64> = Gauge::default();
    age.set(open.oldest_heartbeat.unwrap_or_default().as_secs_f64());
    let help = "Since the last heartbeat of the worker, of those of this coordinator, that was silent for longest";
    registry.register_with_unit("oldest_heartbeat_age", help, Unit::Seconds, age);
    let requests = Gauges::<Kind>::default();
    requests.get_or_create(&Kind { kind: "stream" }).set(count(open.streams));
    requests.get_or_create(&Kind { kind: "call" }).set(count(open.calls));
    registry.register("open_requests", "Requests under way: streams, and calls that are answered at once", requests);
    gauge(
        registry,
        "waiting_reports",
        "Reports of workers that are not stored yet, and so not confirmed",
        count(open.waiting_reports),
    );
    let bytes: Gauge = Gauge::default();
    bytes.set(count(open.waiting_bytes));
    registry.register_with_unit("waiting_reports", "What these take up in memory", Unit::Bytes, bytes);
    let pools = Gauges::<Connection>::default();
    for (pool, idle, taken) in &open.pools {
        pools.get_or_create(&Connection { pool, state: "idle" }).set(count(*idle));
        pools.get_or_create(&Connection { pool, state: "taken" }).set(count(*taken));
    }
    registry.register("pool_connections", "Connections to Postgres", pools);
}

fn of_stored(registry: &mut Registry, stored: &Stored) {
    let jobs = Gauges::<State>::default();
    for state in JOBS {
        let value = stored.jobs.iter().find(|(name, _)| name == state).map_or(0, |(_, value)| *value);
        jobs.get_or_create(&State { state: state.to_owned() }).set(value);
    }
    registry.register("jobs", "Jobs that have not ended, by state", jobs);
    let running = Gauges::<Running>::default();
    for (stage, device_kind, value) in &stored.running {
        running.get_or_create(&Running { stage: stage.clone(), device_kind: device_kind.clone() }).set(*value);
    }
    registry.register("running_jobs", "Jobs that run, by stage and by the kind of their devices", running);
    let devices = Gauges::<Device>::default();
    let mut counts: BTreeMap<(&str, &str), i64> = BTreeMap::new();
    for (state, kind) in &stored.devices {
        for known in ["idle", "busy", "quarantined", "draining", "unfit", "lost"] {
            counts.entry((known, kind)).or_default();
        }
        *counts.entry((state, kind)).or_default() += 1;
    }
    for ((state, kind), value) in counts {
        devices.get_or_create(&Device { state: state.to_owned(), device_kind: kind.to_owned() }).set(value);
    }
    registry.register("devices", "Workers, each with a device, by state", devices);
    let tells = Gauges::<State>::default();
    for state in TELLS {
        let value = stored.tells.iter().find(|(name, _)| name == state).map_or(0, |(_, value)| *value);
        tells.get_or_create(&State { state: state.to_owned() }).set(value);
    }
    registry.register("tells", "Messages that wait to be sent, and those of the last days that were given up", tells);
    gauge(registry, "leader", "Whether this coordinator schedules", i64::from(stored.is_leader));
    gauge(registry, "has_leader", "Whether any coordinator schedules", i64::from(stored.has_leader));
    let wait: Gauge<f64, std::sync::atomic::AtomicU64> = Gauge::default();
    wait.set(stored.longest_wait);
    let help = "How long the job that waits for longest has been queued";
    registry.register_with_unit("longest_wait", help, Unit::Seconds, wait);
}
