//! What the first in line will have, and when.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{
    gang,
    model::{FleetWorker, Policy, QueuedJob, WorkerStatus},
};

/// The workers that a job waits for.
pub(super) struct Reservation {
    /// When all of them are expected to be free; `None` if that is not known.
    pub(super) at: Option<DateTime<Utc>>,
    pub(super) workers: BTreeSet<Uuid>,
}

/// The earliest moment at which the smallest gang of a job can be whole, and workers that are free then: those that are
/// busy until then before those that are idle now, which are left to others.
///
/// `taken` are the workers that were given to jobs before it just now, with the ends of those jobs as far as known.
pub(super) fn reserve(
    now: DateTime<Utc>,
    job: &QueuedJob,
    workers: &[&FleetWorker],
    taken: &BTreeMap<Uuid, Option<DateTime<Utc>>>,
    policy: &Policy,
) -> Reservation {
    let need = job.workers.world_sizes(job.shards).next().map_or(usize::MAX, |need| need as usize);
    let free_at = |worker: &FleetWorker| match (taken.get(&worker.id), &worker.status) {
        (Some(until), _) => *until,
        (None, WorkerStatus::Busy { until, .. }) => until.map(|until| until.max(now)),
        (None, WorkerStatus::Withheld { .. }) => None,
        (None, _) => Some(now),
    };
    let usable: Vec<&FleetWorker> = workers.iter().copied().filter(|worker| gang::is_usable(worker)).collect();
    let places: Vec<Vec<&FleetWorker>> =
        if policy.across_hosts { vec![usable] } else { gang::by_host(&usable).into_values().collect() };
    let places: Vec<_> = places.into_iter().filter(|place| place.len() >= need).collect();
    let earliest = places.iter().filter_map(|place| {
        let mut known: Vec<_> = place.iter().filter_map(|worker| Some((free_at(worker)?, worker.id))).collect();
        known.sort();
        let (at, _) = *known.get(need.checked_sub(1)?)?;
        known.retain(|(free, _)| *free <= at);
        Some((at, known.into_iter().rev().take(need).map(|(_, id)| id).collect()))
    });
    match earliest.min() {
        Some((at, workers)) => Reservation { at: Some(at), workers },
        // It may come to need any of them.
        None => Reservation { at: None, workers: places.iter().flatten().map(|worker| worker.id).collect() },
    }
}
