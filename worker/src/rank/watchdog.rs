//! The progress clock inside a rank: it tells the worker that work is done, reports a stall, and ends the process before
//! the worker or the coordinator has to.
//!
//! Only time in which this thread itself ran counts: a process that a signal stopped for a minute has not hung for a
//! minute. `domain::timing` derives the limits from this rank's slowest unit of work.

use std::{
    io, thread,
    time::{Duration, Instant},
};

use tandem_domain::timing::{self, Timing};
use tandem_learn::{
    progress::{self, Reading},
    report::Event,
    task::Task,
};

use super::pipes::EventPipe;
use crate::exit_code;

/// Time between two checks.
const CHECK_EVERY: Duration = Duration::from_millis(200);
/// Time beyond this between two checks does not count: the process was stopped, or got no processor.
const LONGEST_CHECK: Duration = Duration::from_millis(2 * 200);
/// Shortest time between two keep-alives.
const KEEP_ALIVE_EVERY: Duration = Duration::from_secs(1);

/// Watches this process from now on, as the rank of `task`.
pub(super) fn start(task: &Task, pipe: EventPipe) -> io::Result<()> {
    let limits = Timing::named(&task.timing).unwrap_or(timing::DEFAULT).progress;
    let mut watchdog = Watchdog::new(limits, task.world_size == 1);
    let watch = move || {
        let mut checked_at = Instant::now();
        loop {
            thread::sleep(CHECK_EVERY);
            let now = Instant::now();
            let ran = (now - checked_at).min(LONGEST_CHECK);
            checked_at = now;
            progress::process().advance(ran);
            match watchdog.check(ran, progress::process().read()) {
                Action::Nothing => {}
                Action::Emit(event) => pipe.write(&event),
                Action::Exit { reason, code } => {
                    eprintln!("{reason}");
                    signal_hook::low_level::exit(code);
                }
            }
        }
    };
    thread::Builder::new().name("watchdog".to_owned()).spawn(watch).map(drop)
}

/// What to do after a check.
#[derive(Debug, PartialEq)]
enum Action {
    Nothing,
    Emit(Event),
    /// The reason is the last line of the log.
    Exit {
        reason: String,
        code: i32,
    },
}

/// Decides. Time is an argument: what has passed since the last check.
#[derive(Debug)]
struct Watchdog {
    limits: timing::Progress,
    /// There is no other rank to wait for.
    single_rank: bool,
    /// [`Reading::count`] at the last check.
    count: u64,
    /// How long `count` has not moved.
    idle: Duration,
    /// The present stall was reported.
    stall_reported: bool,
    /// Time since the last keep-alive, and the count at that moment.
    since_keep_alive: Duration,
    reported_count: u64,
}

impl Watchdog {
    fn new(limits: timing::Progress, single_rank: bool) -> Self {
        Self {
            limits,
            single_rank,
            count: 0,
            idle: Duration::ZERO,
            stall_reported: false,
            since_keep_alive: KEEP_ALIVE_EVERY,
            reported_count: 0,
        }
    }

    fn check(&mut self, ran: Duration, reading: Reading) -> Action {
        self.since_keep_alive += ran;
        if reading.count != self.count {
            (self.count, self.idle, self.stall_reported) = (reading.count, Duration::ZERO, false);
        } else {
            self.idle += ran;
        }
        let limits = self.limits.scaled(reading.slowest);
        if self.idle >= limits.collective_abort {
            // A single rank may wait for its own disk or device, or for data that never come.
            let code = if self.single_rank { exit_code::UNKNOWN } else { exit_code::PEER_LOST };
            return Action::Exit { reason: format!("{}; ended itself", self.stall(reading)), code };
        }
        if self.idle >= limits.step_watchdog && !self.stall_reported {
            self.stall_reported = true;
            let message =
                format!("{}; ends itself after {:.0} s", self.stall(reading), limits.collective_abort.as_secs_f64());
            return Action::Emit(Event::Note { kind: "stalled".to_owned(), message });
        }
        if self.count != self.reported_count && self.since_keep_alive >= KEEP_ALIVE_EVERY {
            (self.reported_count, self.since_keep_alive) = (self.count, Duration::ZERO);
            // 0 means that no unit of work is done yet.
            let slowest_ms =
                reading.slowest.map_or(0, |slowest| u64::try_from(slowest.as_millis()).unwrap_or(u64::MAX).max(1));
            return Action::Emit(Event::KeepAlive { slowest_ms });
        }
        Action::Nothing
    }

    fn stall(&self, reading: Reading) -> String {
        let slowest = match reading.slowest {
            Some(slowest) => format!("its slowest unit of work so far took {:.1} s", slowest.as_secs_f64()),
            None => "it had not done its first unit of work".to_owned(),
        };
        let likely = if self.single_rank { "a disk, or its device" } else { "another rank, or a disk" };
        format!("no progress for {:.0} s ({slowest}); most likely it waits for {likely}", self.idle.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLOW: Option<Duration> = Some(Duration::from_millis(200));

    /// Checks a rank that does not move until there is something to do. Returns how long that took.
    fn wait(watchdog: &mut Watchdog, reading: Reading) -> (Duration, Action) {
        let mut waited = Duration::ZERO;
        loop {
            waited += CHECK_EVERY;
            match watchdog.check(CHECK_EVERY, reading) {
                Action::Nothing => assert!(waited < Duration::from_secs(3600), "nothing in an hour"),
                action => return (waited, action),
            }
        }
    }

    fn note(action: &Action) -> &str {
        match action {
            Action::Emit(Event::Note { kind, message }) if kind == "stalled" => message,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_rank_that_hangs_reports_it_once_and_then_ends_itself() {
        let mut watchdog = Watchdog::new(timing::DEFAULT.progress, false);
        let reading = Reading { count: 7, slowest: SLOW };
        assert_eq!(watchdog.check(CHECK_EVERY, reading), Action::Emit(Event::KeepAlive { slowest_ms: 200 }));
        let (waited, action) = wait(&mut watchdog, reading);
        assert_eq!(waited, Duration::from_secs(30));
        assert_eq!(
            note(&action),
            "no progress for 30 s (its slowest unit of work so far took 0.2 s); most likely it waits for another \
             rank, or a disk; ends itself after 40 s"
        );
        let (waited, action) = wait(&mut watchdog, reading);
        assert_eq!(waited, Duration::from_secs(10));
        let reason = "no progress for 40 s (its slowest unit of work so far took 0.2 s); most likely it waits for \
                      another rank, or a disk; ended itself";
        assert_eq!(action, Action::Exit { reason: reason.to_owned(), code: exit_code::PEER_LOST });
    }

    #[test]
    fn a_single_rank_has_no_peer_to_blame() {
        let mut watchdog = Watchdog::new(timing::FAST.progress, true);
        let reading = Reading { count: 0, slowest: SLOW };
        assert!(note(&wait(&mut watchdog, reading).1).contains("waits for a disk, or its device"));
        let (_, action) = wait(&mut watchdog, reading);
        assert!(matches!(action, Action::Exit { code: exit_code::UNKNOWN, .. }), "{action:?}");
    }

    #[test]
    fn slow_work_and_loading_are_given_their_time() {
        for slowest in [None, Some(Duration::from_secs(60))] {
            let mut watchdog = Watchdog::new(timing::DEFAULT.progress, false);
            let (waited, action) = wait(&mut watchdog, Reading { count: 0, slowest });
            assert_eq!(waited, timing::DEFAULT.progress.scaled(slowest).step_watchdog);
            assert_eq!(
                note(&action).contains("it had not done its first unit of work"),
                slowest.is_none(),
                "{action:?}"
            );
        }
    }

    #[test]
    fn progress_in_time_is_enough_and_a_second_stall_is_reported_again() {
        let mut watchdog = Watchdog::new(timing::FAST.progress, false);
        for count in 1..4 {
            let reading = Reading { count, slowest: SLOW };
            assert_eq!(watchdog.check(CHECK_EVERY, reading), Action::Emit(Event::KeepAlive { slowest_ms: 200 }));
            let (waited, action) = wait(&mut watchdog, reading);
            assert_eq!(waited, timing::FAST.progress.step_watchdog);
            note(&action);
        }
    }

    #[test]
    fn keep_alives_come_once_a_second_and_only_while_work_is_done() {
        let mut watchdog = Watchdog::new(timing::DEFAULT.progress, false);
        let actions: Vec<Action> =
            (1..=100).map(|look| watchdog.check(CHECK_EVERY, Reading { count: look.min(50), slowest: None })).collect();
        let keep_alives =
            actions.iter().filter(|action| **action == Action::Emit(Event::KeepAlive { slowest_ms: 0 })).count();
        assert_eq!(keep_alives, 11, "in ten seconds of work, and the last of it");
        assert!(actions[60..].iter().all(|action| *action == Action::Nothing));
    }

    #[test]
    fn a_unit_too_short_to_be_measured_counts_as_one() {
        let mut watchdog = Watchdog::new(timing::DEFAULT.progress, false);
        let reading = Reading { count: 1, slowest: Some(Duration::ZERO) };
        assert_eq!(watchdog.check(CHECK_EVERY, reading), Action::Emit(Event::KeepAlive { slowest_ms: 1 }));
    }
}
