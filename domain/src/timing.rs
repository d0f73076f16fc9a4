//! Every timeout of the system in one place, because they are right only in relation to each other.
//!
//! Two clocks watch a rank, and each runs out in an order of its own (checked by the tests below):
//!
//! ```text
//! lease     (is the process there?)  heartbeat < lease write < worker self-end < takeover < retry
//! progress  (do steps go on?)        step watchdog < collective abort < worker self-end < takeover < retry
//! ```
//!
//! A rank must be dead *before* another may take its place, else two gangs could train one job at a time; whoever is
//! nearest to the fault acts first, because it can say best what is wrong; and the coordinator must notice a dead worker
//! long before c10d would, because survivors hang in a collective until somebody ends them.
//!
//! A lease is a few seconds whatever the job. How long a step takes nobody knows beforehand, so the progress clock is
//! measured in what this rank's own steps take ([`Progress::scaled`]); it never limits how long a job runs.

use std::{sync::OnceLock, time::Duration};

/// The timeouts that a person may choose between, as a whole: see [`Timing::named`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// Its name, on the wire and in `--timing`.
    pub name: &'static str,
    /// Worker to coordinator, on the open stream.
    pub heartbeat: Duration,
    /// Longest time between a heartbeat and the lease written for it: Postgres is not asked to write every heartbeat.
    pub lease_write: Duration,
    /// A worker that got no acknowledgement for this long, from a coordinator that it can reach, ends its rank.
    pub self_end: Duration,
    /// How long a lease holds after it was written; then others may take over.
    pub lease: Duration,
    /// The coordinator looks for leases that ran out this often.
    pub reap_tick: Duration,
    /// A worker's death is seen within this (DESIGN, promise 3).
    pub death_seen: Duration,
    /// How long the scheduling coordinator stays leader without renewing, and how often it renews.
    pub leader_lease: Duration,
    /// See [`Timing::leader_lease`].
    pub leader_renew: Duration,
    pub progress: Progress,
    /// What must have passed since a gang began to train before it is stopped to make room or to grow.
    pub least_run: Duration,
}

/// How long a rank may make no progress, for one that takes no time to speak of for a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The rank itself says that it hangs, and where.
    pub step_watchdog: Duration,
    /// The rank ends itself, and with it the collective that it may wait in: its peers see the connection close.
    pub collective_abort: Duration,
    /// Its worker ends a rank that cannot end itself (stopped by a signal, stuck in the kernel).
    pub self_end: Duration,
    /// The coordinator gives the attempt up: the worker is there, but does not end the rank either.
    pub takeover: Duration,
}

impl Progress {
    /// A pass through the net may take this share of the step watchdog before all limits grow with it.
    const PASSES: u32 = 10;
    /// Before the first sign of progress: libtorch is loaded, images are read.
    const LOADING: u32 = 4;

    /// The limits of a rank whose slowest piece of work so far took `slowest`; `None` if it has done none yet.
    pub fn scaled(self, slowest: Option<Duration>) -> Self {
        let factor = match slowest {
            None => f64::from(Self::LOADING),
            Some(slowest) => (slowest * Self::PASSES).div_duration_f64(self.step_watchdog).max(1.0),
        };
        let scale = |limit: Duration| limit.mul_f64(factor);
        Self {
            step_watchdog: scale(self.step_watchdog),
            collective_abort: scale(self.collective_abort),
            self_end: scale(self.self_end),
            takeover: scale(self.takeover),
        }
    }
}

const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// For machines that people and other programs use as well.
pub const DEFAULT: Timing = Timing {
    name: "default",
    heartbeat: ms(1000),
    lease_write: ms(1500),
    self_end: ms(6500),
    lease: ms(8500),
    reap_tick: ms(500),
    death_seen: ms(10_000),
    leader_lease: ms(6000),
    leader_renew: ms(1500),
    progress: Progress {
        step_watchdog: ms(30_000),
        collective_abort: ms(40_000),
        self_end: ms(50_000),
        takeover: ms(60_000),
    },
    least_run: ms(30_000),
};

/// For a quiet machine: a death is seen in 3 s. A process that gets no processor for two seconds is taken for dead.
pub const FAST: Timing = Timing {
    name: "fast",
    heartbeat: ms(250),
    lease_write: ms(400),
    self_end: ms(1700),
    lease: ms(2200),
    reap_tick: ms(150),
    death_seen: ms(3000),
    leader_lease: ms(1800),
    leader_renew: ms(400),
    progress: Progress {
        step_watchdog: ms(6000),
        collective_abort: ms(8000),
        self_end: ms(10_000),
        takeover: ms(12_000),
    },
    least_run: ms(5000),
};

impl Timing {
    pub const PROFILES: [Self; 2] = [DEFAULT, FAST];

    /// The profile of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::PROFILES.into_iter().find(|profile| profile.name == name)
    }

    /// From assignment until all ranks have met: process start, loading of libtorch, TCPStore. A rank that waits for one
    /// that does not come says so before it is itself taken for stuck.
    pub fn rendezvous(self) -> Duration {
        RENDEZVOUS.min(self.progress.scaled(None).step_watchdog)
    }

    /// Longest wait of a worker before it dials again: several tries within one lease.
    pub fn reconnect_longest(self) -> Duration {
        RECONNECT_LONGEST.min(self.lease / 4)
    }
}

static CHOSEN: OnceLock<Timing> = OnceLock::new();

/// What this process goes by: chosen once as it starts ([`choose`]), the default else.
pub fn timing() -> Timing {
    CHOSEN.get().copied().unwrap_or(DEFAULT)
}

/// Before anything asks for it; later choices change nothing.
pub fn choose(timing: Timing) {
    let _ = CHOSEN.set(timing);
}

/// A worker that was lost is listed, and counted as part of the fleet, for this long: a machine that restarts is not
/// forgotten.
pub const LOST_WORKER_KEPT: Duration = Duration::from_secs(3600);

/// The scheduler looks at the queue this often even if nothing woke it: NOTIFY wakes, polling makes sure.
pub const SCHEDULE_POLL: Duration = Duration::from_secs(1);

/// A worker sends what its rank reported after at most this long ...
pub const REPORT_BATCH: Duration = Duration::from_secs(1);
/// ... or as soon as this many events wait.
pub const REPORT_BATCH_EVENTS: usize = 500;

/// The most of [`Timing::rendezvous`].
pub const RENDEZVOUS: Duration = Duration::from_secs(60);

/// c10d's own limit for one collective: the last resort. The progress clock acts long before.
pub const COLLECTIVE: Duration = Duration::from_secs(24 * 3600);

/// Between SIGTERM (finish the step, write a checkpoint) and SIGKILL, of a rank whose passes take no time to speak of.
pub const STOP_GRACE: Duration = Duration::from_secs(20);

/// A closing server or worker cuts what has not ended by itself after this.
pub const SHUTDOWN_GRACE: Duration = Duration::from_secs(30);

/// First and longest wait of a worker before it dials the coordinator again.
pub const RECONNECT_FIRST: Duration = Duration::from_millis(100);
/// See [`RECONNECT_FIRST`].
pub const RECONNECT_LONGEST: Duration = Duration::from_secs(2);

/// How long a rank goes on while its coordinator is away, unless `--away-grace` says otherwise; then it is asked to write
/// a checkpoint and stop.
pub const AWAY_GRACE: Duration = Duration::from_secs(24 * 3600);

/// A job that was lost on a worker is given to others for this long, if there are any.
pub const AVOID: Duration = Duration::from_secs(60);

/// A worker on which several jobs were lost gets no more for this long, or until somebody releases it.
pub const QUARANTINE: Duration = Duration::from_secs(3600);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::RetryPolicy;

    #[test]
    fn the_lease_clock_runs_out_in_its_order() {
        for timing in Timing::PROFILES {
            let Timing { heartbeat, lease_write, self_end, lease, .. } = timing;
            assert!(heartbeat < lease_write && lease_write < self_end && self_end < lease, "{timing:?}");
            // A heartbeat is acknowledged once its lease is written, and a worker counts from when it sent that one: the
            // rank is dead before the lease runs out, with time for a signal to do its work.
            assert!(self_end + heartbeat <= lease, "{timing:?}");
            // One late heartbeat, or one late write, ends nothing.
            assert!((heartbeat + lease_write) * 2 <= self_end, "{timing:?}");
        }
    }

    #[test]
    fn the_progress_clock_runs_out_in_its_order_however_slow_the_steps_are() {
        for timing in Timing::PROFILES {
            for slowest in [None, Some(0), Some(1), Some(60), Some(3600)] {
                let limits = timing.progress.scaled(slowest.map(Duration::from_secs));
                let Progress { step_watchdog, collective_abort, self_end, takeover } = limits;
                assert!(step_watchdog < collective_abort && collective_abort < self_end && self_end < takeover);
                assert!(slowest.is_none_or(|slowest| Duration::from_secs(slowest) * 10 <= step_watchdog));
                // The retry follows the takeover, the first one at once.
                assert!(RetryPolicy::default().delay(1).is_some_and(|wait| takeover + wait >= takeover));
                // A worker that is away as a whole is noticed by the other clock, and sooner.
                assert!(timing.lease < step_watchdog);
            }
            assert!(timing.progress.scaled(None).takeover < COLLECTIVE);
        }
    }

    #[test]
    fn a_death_is_seen_in_time_and_before_c10d_sees_it() {
        for timing in Timing::PROFILES {
            assert!(timing.lease + timing.reap_tick <= timing.death_seen, "{timing:?}");
            assert!(timing.death_seen + STOP_GRACE < COLLECTIVE && RENDEZVOUS < COLLECTIVE);
        }
        assert!(DEFAULT.death_seen <= Duration::from_secs(10) && FAST.death_seen <= Duration::from_secs(3));
    }

    #[test]
    fn a_short_absence_of_the_coordinator_changes_no_leader_and_no_rank() {
        for timing in Timing::PROFILES {
            assert!(timing.leader_renew * 2 < timing.leader_lease);
            // A coordinator takes over before the leases that the other one renewed run out.
            assert!(timing.leader_lease < timing.lease, "{timing:?}");
            assert!(timing.reconnect_longest() * 2 + timing.heartbeat < timing.lease, "{timing:?}");
            assert!(timing.rendezvous() < timing.progress.scaled(None).collective_abort, "{timing:?}");
        }
        assert!(STOP_GRACE < SHUTDOWN_GRACE);
    }

    #[test]
    fn profiles_are_found_by_name() {
        assert_eq!(Timing::named("fast"), Some(FAST));
        assert_eq!(Timing::named("slow"), None);
        assert_eq!(timing(), DEFAULT);
    }
}
