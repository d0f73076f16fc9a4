//! Every timeout of the system in one place, because they are right only in relation to each other.
//!
//! ```text
//! heartbeat < lease write < worker ends its rank < lease runs out < promise of 10 s < collective timeout
//! ```
//!
//! The order is checked by the test below. A rank must be dead *before* its lease can run out, else two gangs could
//! train one job at a time; and the coordinator must notice a dead worker long before c10d would, because survivors
//! hang in a collective until somebody ends them.

use std::time::Duration;

/// Worker to coordinator, on the open stream.
pub const HEARTBEAT: Duration = Duration::from_secs(1);

/// Longest time between a heartbeat and the lease written for it: Postgres is not asked to write every heartbeat.
pub const LEASE_WRITE: Duration = Duration::from_secs(2);

/// A worker that got no acknowledgement for this long, from a coordinator that it can reach, ends its rank.
pub const SELF_END: Duration = Duration::from_secs(7);

/// How long a lease holds after it was written.
pub const LEASE: Duration = Duration::from_secs(9);

/// The coordinator looks for leases that ran out this often.
pub const REAP_TICK: Duration = Duration::from_secs(1);

/// A worker's death is seen within this (DESIGN, promise 3).
pub const DEATH_SEEN: Duration = Duration::from_secs(10);

/// A worker that was lost is listed, and counted as part of the fleet, for this long: a machine that restarts is not
/// forgotten.
pub const LOST_WORKER_KEPT: Duration = Duration::from_secs(3600);

/// The scheduler looks at the queue this often even if nothing woke it: NOTIFY wakes, polling makes sure.
pub const SCHEDULE_POLL: Duration = Duration::from_secs(1);

/// How long the scheduling coordinator stays leader without renewing, and how often it renews.
pub const LEADER_LEASE: Duration = Duration::from_secs(6);
/// See [`LEADER_LEASE`].
pub const LEADER_RENEW: Duration = Duration::from_secs(2);

/// A worker sends what its rank reported after at most this long ...
pub const REPORT_BATCH: Duration = Duration::from_secs(1);
/// ... or as soon as this many events wait.
pub const REPORT_BATCH_EVENTS: usize = 500;

/// From assignment until all ranks have met: process start, loading of libtorch, TCPStore.
pub const RENDEZVOUS: Duration = Duration::from_secs(60);

/// c10d's own limit for one collective: the last resort, for a peer that neither works nor dies.
pub const COLLECTIVE: Duration = Duration::from_secs(300);

/// Between SIGTERM (finish the step, write a checkpoint) and SIGKILL.
pub const STOP_GRACE: Duration = Duration::from_secs(20);

/// A closing server or worker cuts what has not ended by itself after this.
pub const SHUTDOWN_GRACE: Duration = Duration::from_secs(30);

/// First and longest wait of a worker before it dials the coordinator again.
pub const RECONNECT_FIRST: Duration = Duration::from_millis(100);
/// See [`RECONNECT_FIRST`].
pub const RECONNECT_LONGEST: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rank_is_dead_before_its_lease_can_run_out() {
        // The lease in Postgres may be older than the last acknowledged heartbeat by LEASE_WRITE.
        assert!(SELF_END + LEASE_WRITE <= LEASE);
        // One late heartbeat, or one late write, ends nothing.
        assert!(HEARTBEAT < LEASE_WRITE && HEARTBEAT * 3 <= SELF_END);
    }

    #[test]
    fn a_death_is_seen_in_time_and_before_c10d_sees_it() {
        assert!(LEASE + REAP_TICK <= DEATH_SEEN);
        assert!(DEATH_SEEN + STOP_GRACE < COLLECTIVE);
        assert!(RENDEZVOUS < COLLECTIVE);
    }

    #[test]
    fn a_short_absence_of_the_coordinator_changes_no_leader_and_no_rank() {
        assert!(LEADER_RENEW * 2 < LEADER_LEASE);
        assert!(RECONNECT_LONGEST + HEARTBEAT < SELF_END);
        assert!(STOP_GRACE < SHUTDOWN_GRACE);
    }
}
