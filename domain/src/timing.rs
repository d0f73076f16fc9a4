//! Every timeout of the system in one place, because they are right only in relation to each other.
//!
//! Two clocks watch a rank, and each runs out in an order of its own (checked by the tests below):
//!
//! ```text
//! lease     (is the process there?)  heartbeat < lease write < worker self-end < takeover < retry
//! progress  (do steps go on?)        step watchdog < collective abort < worker self-end < takeover < retry
//! ```
//!
//! A rank must be dead *before* another may take its place, or two gangs could train one job at a time. Whoever is
//! nearest to the fault acts first, because it knows best what is wrong. And the coordinator must notice a dead worker
//! long before c10d would, because the other ranks hang in a collective until somebody ends them.
//!
//! A lease is a few seconds, whatever the job. How long a step takes is not known beforehand, so the progress clock is
//! measured in multiples of this rank's own steps ([`Progress::scaled`]). It never limits how long a job runs.

use std::{sync::OnceLock, time::Duration};

/// A profile of timeouts, chosen as a whole: see [`Timing::named`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// Name of the profile, on the wire and in `--timing`.
    pub name: &'static str,
    /// How often a worker sends a heartbeat on its stream.
    pub heartbeat: Duration,
    /// How often heartbeats are written to Postgres: not each by itself.
    pub lease_write: Duration,
    /// A worker that got no acknowledgement for this long, from a coordinator that it can reach, ends its rank.
    pub self_end: Duration,
    /// How long a lease is valid after it was written; then others may take over.
    pub lease: Duration,
    /// How often the coordinator looks for expired leases.
    pub reap_tick: Duration,
    /// The death of a worker is noticed within this time.
    pub death_seen: Duration,
    /// How long a coordinator stays leader without renewing.
    pub leader_lease: Duration,
    /// How often the leader renews.
    pub leader_renew: Duration,
    pub progress: Progress,
    /// How long a gang trains at least before it is stopped to make room or to grow.
    pub least_run: Duration,
}

/// How long a rank may make no progress, if its steps are short: see [`Progress::scaled`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The rank itself reports that it hangs, and where.
    pub step_watchdog: Duration,
    /// The rank ends itself, and with it the collective that it may wait in: its peers see the connections close.
    pub collective_abort: Duration,
    /// The worker ends a rank that cannot end itself (stopped by a signal, stuck in the kernel).
    pub self_end: Duration,
    /// The coordinator gives the attempt up: the worker is connected, but does not end the rank either.
    pub takeover: Duration,
}

impl Progress {
    /// All limits grow once a pass through the net takes more than 1/PASSES of the step watchdog.
    const PASSES: u32 = 10;
    /// How much longer the limits are before the first progress, while libtorch and images are loaded.
    const LOADING: u32 = 4;

    /// The limits of a rank whose slowest piece of work so far took `slowest`; `None` before its first.
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

/// For machines that other programs use as well.
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

/// For a quiet machine: a death is noticed in 3 s. A process that gets no processor for two seconds is taken for dead.
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

    pub fn named(name: &str) -> Option<Self> {
        Self::PROFILES.into_iter().find(|profile| profile.name == name)
    }

    /// From assignment until all ranks have met: process start, loading of libtorch, TCPStore. Short enough that a rank
    /// reports a missing peer before it is itself taken to hang.
    pub fn rendezvous(self) -> Duration {
        RENDEZVOUS.min(self.progress.scaled(None).step_watchdog)
    }

    /// How long the coordinator waits for Postgres where ranks depend on it: to store heartbeats, to lead, to claim. Then
    /// Postgres is away, whether it stalls or is dead: streams end, and workers know that nobody is there before they
    /// would end their ranks.
    pub fn statement_limit(self) -> Duration {
        (self.self_end - self.lease_write - self.heartbeat) / 2
    }

    /// The same for a transaction of many statements, each within [`Timing::statement_limit`].
    pub fn transaction_limit(self) -> Duration {
        self.statement_limit() * 4
    }

    /// How long a transaction may store reports. It locks the leases of its ranks, and they cannot be renewed meanwhile:
    /// when it is cut, heartbeats still renew them in time.
    pub fn report_limit(self) -> Duration {
        self.lease - self.lease_write * 2 - self.statement_limit()
    }

    /// Longest wait of a worker before it dials again: there are several tries within one lease.
    pub fn reconnect_longest(self) -> Duration {
        RECONNECT_LONGEST.min(self.lease / 4)
    }
}

static CHOSEN: OnceLock<Timing> = OnceLock::new();

/// The profile of this process: chosen once at its start ([`choose`]), else the default.
pub fn timing() -> Timing {
    CHOSEN.get().copied().unwrap_or(DEFAULT)
}

/// Chooses the profile of this process. Must come before the first use; later choices change nothing.
pub fn choose(timing: Timing) {
    let _ = CHOSEN.set(timing);
}

/// How long a lost worker is listed and counted as part of the fleet, so that a machine may restart.
pub const LOST_WORKER_KEPT: Duration = Duration::from_secs(3600);

/// How often the scheduler reads the queue without a notification, as one may be lost.
pub const SCHEDULE_POLL: Duration = Duration::from_secs(1);

/// A worker sends what its rank reported after at most this long ...
pub const REPORT_BATCH: Duration = Duration::from_secs(1);
/// ... or as soon as this many events wait.
pub const REPORT_BATCH_EVENTS: usize = 500;

/// How often a worker shows that it sees the store ...
pub const STORE_PROBE: Duration = Duration::from_secs(60);
/// ... and while it does not.
pub const STORE_PROBE_AGAIN: Duration = Duration::from_secs(5);
/// How long the store may take to answer.
pub const STORE_ANSWER: Duration = Duration::from_secs(10);

/// How often a worker looks whether folders of its data folder have changed ...
pub const DATA_LOOK: Duration = Duration::from_secs(2);
/// ... and whether any file has.
pub const DATA_SURVEY: Duration = Duration::from_secs(600);
/// How long it may take to read the data folder.
pub const DATA_SURVEY_LIMIT: Duration = Duration::from_secs(3600);

/// How often a worker looks at its device, if `--sample-every` is not given. That others use it follows from several looks, in
/// multiples of it: see [`crate::device::Bounds`].
pub const SAMPLE: Duration = Duration::from_secs(5);
/// How long a card is slowed by its own hardware until it is quarantined, however often it is looked at.
pub const THROTTLED: Duration = Duration::from_secs(60);
/// How long one look may take before it is said to be late; a driver that hangs is waited for, and holds up nothing.
pub const SAMPLE_LATE: Duration = Duration::from_secs(15);
/// How long the start of a worker waits for the first look: a device that is taken must not be given out before it is known.
pub const SAMPLE_FIRST: Duration = Duration::from_secs(5);
/// How long all looks are kept, ...
pub const SAMPLES_KEPT: Duration = Duration::from_secs(3600);
/// ... how long one figure for each minute, ...
pub const MINUTES_KEPT: Duration = Duration::from_secs(31 * 24 * 3600);
/// ... how often that is seen to, ...
pub const THIN: Duration = Duration::from_secs(30);
/// ... and how late a look may come and still count for its minute.
pub const SAMPLE_ARRIVES: Duration = Duration::from_secs(60);

/// How long a query for a person may take, and how long it may wait for a connection.
pub const READ_LIMIT: Duration = Duration::from_secs(10);
/// See [`READ_LIMIT`].
pub const READ_WAIT: Duration = Duration::from_secs(3);

/// How long a call of a person may take in all; watching, following and fetching go on after it.
pub const CALL_LIMIT: Duration = Duration::from_secs(30);

/// How long a connection to the coordinator may stay open before it says anything.
pub const HANDSHAKE: Duration = Duration::from_secs(10);

/// Upper limit of [`Timing::rendezvous`].
pub const RENDEZVOUS: Duration = Duration::from_secs(60);

/// c10d's own limit for one collective, as a last resort: the progress clock acts long before.
pub const COLLECTIVE: Duration = Duration::from_secs(24 * 3600);

/// Between SIGTERM (finish the step, write a checkpoint) and SIGKILL, for a rank whose passes are short.
pub const STOP_GRACE: Duration = Duration::from_secs(20);

/// How long a closing server or worker waits for its tasks before it cuts them.
pub const SHUTDOWN_GRACE: Duration = Duration::from_secs(30);

/// How soon an artifact is read back again that was not there or not whole ...
pub const READ_BACK_AGAIN: Duration = Duration::from_secs(1);
/// ... and how long it may stay so before that counts: a network file system may show a file after its writer has ended.
pub const READ_BACK_LATE: Duration = Duration::from_secs(5);
/// Longest wait before an artifact is read back again that this coordinator cannot read at all.
pub const READ_BACK_LONGEST: Duration = Duration::from_secs(30);

/// First and longest wait of a worker before it dials the coordinator again.
pub const RECONNECT_FIRST: Duration = Duration::from_millis(100);
/// See [`RECONNECT_FIRST`].
pub const RECONNECT_LONGEST: Duration = Duration::from_secs(2);

/// How long a rank trains on without a coordinator, if `--away-grace` is not given; then it stops at a checkpoint.
pub const AWAY_GRACE: Duration = Duration::from_secs(24 * 3600);

/// How long a job avoids a worker that it was lost on, if there are others.
pub const AVOID: Duration = Duration::from_secs(60);

/// How far back other jobs' success on a device is evidence that the device is well.
pub const EVIDENCE: Duration = Duration::from_secs(24 * 3600);

/// How long a worker that lost several jobs gets no more, unless somebody releases it.
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
            // A heartbeat is acknowledged after its lease was written, and a worker counts from when it sent that one:
            // the rank is dead before the lease runs out, with time left for the signal.
            assert!(self_end + heartbeat <= lease, "{timing:?}");
            // One late heartbeat or one late write ends no rank.
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
                // The lease clock notices a worker that is gone, and sooner.
                assert!(timing.lease < step_watchdog);
            }
            assert!(timing.progress.scaled(None).takeover < COLLECTIVE);
        }
    }

    #[test]
    fn a_database_that_stalls_counts_as_away_before_anything_is_taken_for_dead() {
        for timing in Timing::PROFILES {
            let Timing { heartbeat, lease_write, self_end, lease, leader_lease, leader_renew, .. } = timing;
            let (statement, report) = (timing.statement_limit(), timing.report_limit());
            // A slow statement is no stall: there is more time for it than between two of them.
            assert!(lease_write < statement && heartbeat < statement, "{timing:?}");
            // The worker's last heartbeat was acknowledged, the next one waits for a write that only just succeeds, and
            // the write after that stalls: the stream ends before the worker ends its rank.
            assert!(lease_write + statement * 2 + heartbeat <= self_end, "{timing:?}");
            // The leader may fail to renew once.
            assert!(leader_renew + statement * 2 < leader_lease, "{timing:?}");
            // A report that is cut leaves time for one renewal, since the one that it shut out.
            assert!(lease_write + report + lease_write + statement <= lease, "{timing:?}");
            assert!(report > lease_write && report < SHUTDOWN_GRACE, "{timing:?}");
            assert!(timing.transaction_limit() > leader_renew, "{timing:?}");
        }
        assert!(READ_WAIT + READ_LIMIT < CALL_LIMIT && CALL_LIMIT <= SHUTDOWN_GRACE);
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
    fn a_late_artifact_is_looked_for_several_times_before_its_worker_is_avoided() {
        assert!(READ_BACK_AGAIN * 3 <= READ_BACK_LATE);
        // An artifact that cannot be read is asked for less often than one that may be late, and still before a job that
        // would make it anew could have its worker again.
        assert!(READ_BACK_LATE < READ_BACK_LONGEST && READ_BACK_LONGEST < AVOID);
    }

    #[test]
    fn looks_at_a_device_are_thinned_after_they_have_come_and_before_they_are_dropped() {
        let bounds = crate::device::Bounds::of(SAMPLE);
        assert!(SAMPLE < bounds.taken_after && bounds.taken_after < bounds.free_after);
        assert!(bounds.free_after < bounds.throttled_after && bounds.throttled_after < QUARANTINE);
        assert!(SAMPLE < SAMPLE_LATE && SAMPLE_FIRST < SAMPLE_LATE && SAMPLE_LATE < SAMPLE_ARRIVES);
        assert!(SAMPLE_ARRIVES + THIN * 4 < SAMPLES_KEPT && SAMPLES_KEPT < MINUTES_KEPT);
    }

    #[test]
    fn profiles_are_found_by_name() {
        assert_eq!(Timing::named("fast"), Some(FAST));
        assert_eq!(Timing::named("slow"), None);
        assert_eq!(timing(), DEFAULT);
    }
}
