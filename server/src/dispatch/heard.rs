//! What was heard of workers, and for how long it counts.

use std::time::Instant;

use chrono::{DateTime, TimeDelta, Utc};
use tandem_domain::timing::timing;
use uuid::Uuid;

use crate::store::{
    heartbeats::{Heard, RenewedLease},
    leases::ReportedRank,
};

/// The last heartbeat of a session, as it was stored.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub(super) received_at: Instant,
    pub(super) heard: Heard,
}

/// How long a heartbeat is written again after the stream has ended, or the rank is not reported any more: its lease runs
/// from there, and is over by then.
pub(super) fn is_kept(at: DateTime<Utc>, now: DateTime<Utc>) -> bool {
    (now - at).to_std().unwrap_or_default() < timing().lease * 2
}

/// The leases that a heartbeat renews which came at `at`, with what it says of their ranks. A rank that was assigned lately
/// may be none of those that it reports.
pub(super) fn renewed(held: &[(Uuid, u32, Uuid)], running: &[ReportedRank], at: DateTime<Utc>) -> Vec<RenewedLease> {
    let leases = held.iter().map(|&(attempt, rank, _)| {
        let reported = running.iter().find(|held| held.attempt == attempt && held.rank == rank);
        let progress_at = reported.and_then(|held| at.checked_sub_signed(TimeDelta::from_std(held.idle).ok()?));
        RenewedLease { attempt, rank, at, progress_at, slowest: reported.and_then(|held| held.slowest) }
    });
    leases.collect()
}

/// The leases that are renewed now, and those that were before and may not have run out.
pub(super) fn merged(before: &[RenewedLease], mut renewed: Vec<RenewedLease>, now: DateTime<Utc>) -> Vec<RenewedLease> {
    for old in before {
        match renewed.iter_mut().find(|new| (new.attempt, new.rank) == (old.attempt, old.rank)) {
            Some(new) => new.slowest = new.slowest.max(old.slowest),
            None if is_kept(old.at, now) => renewed.push(*old),
            None => {}
        }
    }
    renewed
}
