//! Why a job waits, in the words that a person sees beside it.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use super::{
    gang,
    model::{FleetWorker, Policy, QueuedJob, WorkerStatus},
};
use crate::{about::about, blame::unreadable};

/// Busy workers named in a reason; the rest are counted.
const NAMED: usize = 3;

/// No kind of device has enough workers, even if all were idle.
pub(super) fn too_large(job: &QueuedJob, fleet: &[&FleetWorker], spare: usize, policy: &Policy) -> String {
    match job.workers.world_sizes(job.shards).next() {
        Some(need) => needs(need, fleet, spare, policy),
        None => format!("no number of workers in {} divides its {} shards", job.workers, job.shards),
    }
}

/// A gang of `need` workers is more than there is. `spare` workers are left out: their devices are held by others.
pub(super) fn needs(need: u32, fleet: &[&FleetWorker], spare: usize, policy: &Policy) -> String {
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    for worker in fleet.iter().filter(|worker| gang::is_usable(worker)) {
        *kinds.entry(&worker.device_kind).or_default() += 1;
    }
    let mut has: Vec<String> = kinds.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
    let mut unusable: BTreeMap<&str, u32> = BTreeMap::new();
    for word in fleet.iter().filter_map(|worker| unusable_as(&worker.status)) {
        *unusable.entry(word).or_default() += 1;
    }
    has.extend(unusable.into_iter().map(|(word, number)| format!("{number} {word}")));
    if spare > 0 {
        has.push(format!("{spare} more on a device that another worker holds"));
    }
    let has = if has.is_empty() { "no worker".to_owned() } else { has.join(", ") };
    let together = match (need, policy.across_hosts) {
        (1, _) => "",
        (_, true) => " of one kind",
        (_, false) => " of one kind on one host",
    };
    format!("needs {}{together}; the fleet has {has}", workers(need as usize, ""))
}

/// Why nobody waits for a worker.
fn unusable_as(status: &WorkerStatus) -> Option<&'static str> {
    match status {
        WorkerStatus::Idle | WorkerStatus::Busy { .. } | WorkerStatus::Withheld { .. } => None,
        WorkerStatus::Draining => Some("draining"),
        WorkerStatus::Drained => Some("drained (`tandem undrain`)"),
        WorkerStatus::Held { .. } => Some("held (`tandem status` says by whom)"),
        WorkerStatus::Lost => Some("lost"),
        WorkerStatus::Quarantined => Some("quarantined (`tandem status` says why)"),
        WorkerStatus::Unfit => Some("unfit (`tandem status` says why)"),
    }
}

/// Its kind has enough workers, but too few are idle.
pub(super) fn busy(
    job: &QueuedJob,
    kind: &str,
    idle: &[&FleetWorker],
    fleet: &[&FleetWorker],
    (now, policy): (DateTime<Utc>, &Policy),
) -> String {
    let need = job.workers.world_sizes(job.shards).next().unwrap_or(job.workers.min) as usize;
    let all_idle = idle;
    let idle = gang::of_kind(kind, idle.iter().copied()).count();
    let mut busy: Vec<_> = gang::of_kind(kind, fleet.iter().copied())
        .filter_map(|worker| match &worker.status {
            WorkerStatus::Busy { job_name, until } => Some((until.is_none(), *until, &worker.name, job_name)),
            _ => None,
        })
        .collect();
    busy.sort();
    let mut parts = Vec::new();
    if idle > 0 {
        parts.push(format!("{idle} idle"));
    }
    for (_, until, worker, job_name) in busy.iter().take(NAMED) {
        let until = until.map(|until| format!(" until about {}", about(until, now))).unwrap_or_default();
        parts.push(format!("{worker} busy with `{job_name}`{until}"));
    }
    if busy.len() > NAMED {
        parts.push(format!("{} more busy", busy.len() - NAMED));
    }
    let known_withheld = withheld(kind, fleet);
    parts.extend(known_withheld.iter().cloned());
    if parts.is_empty() {
        parts.push("all were just given to jobs before it".to_owned());
    }
    let together = if policy.across_hosts || need == 1 { "" } else { " on one host" };
    let instead = if known_withheld.is_empty() { String::new() } else { not_elsewhere(job, kind, all_idle) };
    format!("waits for {}{together}: {}{instead}", workers(need, kind), parts.join(", "))
}

/// Why it does not go to devices of another kind meanwhile.
fn not_elsewhere(job: &QueuedJob, kind: &str, idle: &[&FleetWorker]) -> String {
    let mut others: BTreeMap<&str, u32> = BTreeMap::new();
    for worker in idle.iter().filter(|worker| worker.device_kind != kind) {
        *others.entry(&worker.device_kind).or_default() += 1;
    }
    let need = job.workers.world_sizes(job.shards).next().unwrap_or(job.workers.min);
    match others.into_iter().find(|(_, count)| *count >= need) {
        Some((other, count)) => {
            let are = if count == 1 { "worker is" } else { "workers are" };
            format!(
                "; {count} {other} {are} idle, and it does not fall to {other}: jobs go to {kind} where the house has it"
            )
        }
        None => String::new(),
    }
}

/// Workers whose devices others use, by name.
fn withheld(kind: &str, fleet: &[&FleetWorker]) -> Vec<String> {
    let mut known: Vec<_> = gang::of_kind(kind, fleet.iter().copied())
        .filter_map(|worker| match &worker.status {
            WorkerStatus::Withheld { why } => Some(format!("{} is {why}", worker.name)),
            _ => None,
        })
        .collect();
    known.sort();
    let more = known.len().saturating_sub(NAMED);
    known.truncate(NAMED);
    if more > 0 {
        known.push(format!("{more} more in use by others"));
    }
    known
}

/// Another job is first in line for this kind.
pub(super) fn behind(first: &QueuedJob, kind: &str) -> String {
    format!("waits behind `{}`, which is first in line for {kind} workers", first.name)
}

pub(super) fn backoff(job: &QueuedJob, until: DateTime<Utc>) -> String {
    let at = until.format("%H:%M:%S");
    match job.missing.as_slice() {
        [] => format!("is tried again at {at} UTC, after a lost attempt; others start meanwhile"),
        missing => format!("{}; is tried again at {at} UTC, and others start meanwhile", unreadable(missing)),
    }
}

/// There are enough workers, but too few of them can read its spec, images and input.
pub(super) fn unable(now: DateTime<Utc>, job: &QueuedJob, fleet: &[&FleetWorker]) -> String {
    let usable = fleet.iter().filter(|worker| gang::is_usable(worker));
    let usable: Vec<_> = usable.map(|worker| (worker.name.as_str(), &worker.offers)).collect();
    let missing: Vec<_> = job.missing.iter().filter(|worker| worker.until > now).cloned().collect();
    let again = missing.iter().map(|worker| worker.until).min();
    let missing = again.map(|again| {
        let again = again.format("%H:%M:%S");
        format!("{}; no others are there, and it is tried again at {again} UTC", unreadable(&missing))
    });
    let reasons: Vec<String> = job.needs.unmet(&usable).into_iter().chain(missing).collect();
    reasons.join("; ")
}

fn workers(count: usize, kind: &str) -> String {
    let space = if kind.is_empty() { "" } else { " " };
    format!("{count} {kind}{space}worker{}", if count == 1 { "" } else { "s" })
}
