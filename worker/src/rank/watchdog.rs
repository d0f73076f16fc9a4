//! The progress clock inside a rank: it tells the worker that work is done, says when none is, and ends the process before
//! anybody else has to.
//!
//! Only time counts in which this thread itself ran: a process that was stopped by a signal for a minute has not hung for
//! a minute. The limits follow from this rank's own slowest piece of work: see `domain::timing`.

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

use super::events::Pipe;
use crate::exit_code;

/// How often it looks.
const LOOK: Duration = Duration::from_millis(200);
/// More than this between two looks is time in which the process was stopped, or got no processor.
const LONGEST_LOOK: Duration = Duration::from_millis(2 * 200);
/// The worker needs to hear no more often that work is done.
const PULSE: Duration = Duration::from_secs(1);

/// Watches this process from now on, as the rank of `task`.
pub(super) fn start(task: &Task, pipe: Pipe) -> io::Result<()> {
    let limits = Timing::named(&task.timing).unwrap_or(timing::DEFAULT).progress;
    let mut watchdog = Watchdog::new(limits, task.world_size == 1);
    let watch = move || {
        let mut looked = Instant::now();
        loop {
            thread::sleep(LOOK);
            let now = Instant::now();
            let ran = (now - looked).min(LONGEST_LOOK);
            looked = now;
            progress::process().advance(ran);
            match watchdog.look(ran, progress::process().read()) {
                Act::Nothing => {}
                Act::Tell(event) => pipe.write(&event),
                Act::End { reason, code } => {
                    eprintln!("{reason}");
                    signal_hook::low_level::exit(code);
                }
            }
        }
    };
    thread::Builder::new().name("watchdog".to_owned()).spawn(watch).map(drop)
}

/// What is to be done after a look.
#[derive(Debug, PartialEq)]
enum Act {
    Nothing,
    Tell(Event),
    /// The reason is the last line of the log.
    End {
        reason: String,
        code: i32,
    },
}

/// The decision. Time comes as what has passed since the last look.
#[derive(Debug)]
struct Watchdog {
    limits: timing::Progress,
    /// There is no other rank that it could wait for.
    alone: bool,
    /// As last seen.
    count: u64,
    /// Since then.
    quiet: Duration,
    /// It was said that nothing moves.
    said: bool,
    /// Since the worker was told last, and what it was told of.
    unheard: Duration,
    told: u64,
}

impl Watchdog {
    fn new(limits: timing::Progress, alone: bool) -> Self {
        Self { limits, alone, count: 0, quiet: Duration::ZERO, said: false, unheard: PULSE, told: 0 }
    }

    fn look(&mut self, ran: Duration, seen: Reading) -> Act {
        self.unheard += ran;
        if seen.count != self.count {
            (self.count, self.quiet, self.said) = (seen.count, Duration::ZERO, false);
        } else {
            self.quiet += ran;
        }
        let limits = self.limits.scaled(seen.slowest);
        if self.quiet >= limits.collective_abort {
            let code = if self.alone { exit_code::MACHINE_FAILED } else { exit_code::PEER_LOST };
            return Act::End { reason: format!("{}; ended itself", self.stall(seen)), code };
        }
        if self.quiet >= limits.step_watchdog && !self.said {
            self.said = true;
            let message =
                format!("{}; ends itself after {:.0} s", self.stall(seen), limits.collective_abort.as_secs_f64());
            return Act::Tell(Event::Note { kind: "stalled".to_owned(), message });
        }
        if self.count != self.told && self.unheard >= PULSE {
            (self.told, self.unheard) = (self.count, Duration::ZERO);
            // 0 says that there was none yet.
            let slowest_ms =
                seen.slowest.map_or(0, |slowest| u64::try_from(slowest.as_millis()).unwrap_or(u64::MAX).max(1));
            return Act::Tell(Event::Pulse { slowest_ms });
        }
        Act::Nothing
    }

    fn stall(&self, seen: Reading) -> String {
        let slowest = match seen.slowest {
            Some(slowest) => format!("its slowest pass so far took {:.1} s", slowest.as_secs_f64()),
            None => "it had not done its first pass".to_owned(),
        };
        let likely = if self.alone { "a disk, or its device" } else { "another rank, or a disk" };
        format!("no progress for {:.0} s ({slowest}); most likely it waits for {likely}", self.quiet.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLOW: Option<Duration> = Some(Duration::from_millis(200));

    /// Looks at a rank that does not move until something is to be done; how long that took.
    fn wait(watchdog: &mut Watchdog, seen: Reading) -> (Duration, Act) {
        let mut waited = Duration::ZERO;
        loop {
            waited += LOOK;
            match watchdog.look(LOOK, seen) {
                Act::Nothing => assert!(waited < Duration::from_secs(3600), "nothing in an hour"),
                act => return (waited, act),
            }
        }
    }

    fn note(act: &Act) -> &str {
        match act {
            Act::Tell(Event::Note { kind, message }) if kind == "stalled" => message,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_rank_that_hangs_says_so_once_and_then_ends_itself() {
        let mut watchdog = Watchdog::new(timing::DEFAULT.progress, false);
        let seen = Reading { count: 7, slowest: SLOW };
        assert_eq!(watchdog.look(LOOK, seen), Act::Tell(Event::Pulse { slowest_ms: 200 }));
        let (waited, act) = wait(&mut watchdog, seen);
        assert_eq!(waited, Duration::from_secs(30));
        assert_eq!(
            note(&act),
            "no progress for 30 s (its slowest pass so far took 0.2 s); most likely it waits for another rank, or a disk; \
             ends itself after 40 s"
        );
        let (waited, act) = wait(&mut watchdog, seen);
        assert_eq!(waited, Duration::from_secs(10));
        let reason = "no progress for 40 s (its slowest pass so far took 0.2 s); most likely it waits for another rank, or a \
                      disk; ended itself";
        assert_eq!(act, Act::End { reason: reason.to_owned(), code: exit_code::PEER_LOST });
    }

    #[test]
    fn alone_there_is_no_peer_to_blame() {
        let mut watchdog = Watchdog::new(timing::FAST.progress, true);
        let seen = Reading { count: 0, slowest: SLOW };
        assert!(note(&wait(&mut watchdog, seen).1).contains("waits for a disk, or its device"));
        let (_, act) = wait(&mut watchdog, seen);
        assert!(matches!(act, Act::End { code: exit_code::MACHINE_FAILED, .. }), "{act:?}");
    }

    #[test]
    fn what_is_slow_by_nature_and_what_still_loads_is_given_its_time() {
        for slowest in [None, Some(Duration::from_secs(60))] {
            let mut watchdog = Watchdog::new(timing::DEFAULT.progress, false);
            let (waited, act) = wait(&mut watchdog, Reading { count: 0, slowest });
            assert_eq!(waited, timing::DEFAULT.progress.scaled(slowest).step_watchdog);
            assert_eq!(note(&act).contains("it had not done its first pass"), slowest.is_none(), "{act:?}");
        }
    }

    #[test]
    fn a_beat_in_time_is_enough_and_a_second_stall_is_said_again() {
        let mut watchdog = Watchdog::new(timing::FAST.progress, false);
        for count in 1..4 {
            let seen = Reading { count, slowest: SLOW };
            assert_eq!(watchdog.look(LOOK, seen), Act::Tell(Event::Pulse { slowest_ms: 200 }));
            let (waited, act) = wait(&mut watchdog, seen);
            assert_eq!(waited, timing::FAST.progress.step_watchdog);
            note(&act);
        }
    }

    #[test]
    fn the_worker_hears_of_work_once_a_second_and_of_none_not_at_all() {
        let mut watchdog = Watchdog::new(timing::DEFAULT.progress, false);
        let acts: Vec<Act> =
            (1..=100).map(|look| watchdog.look(LOOK, Reading { count: look.min(50), slowest: None })).collect();
        let pulses = acts.iter().filter(|act| **act == Act::Tell(Event::Pulse { slowest_ms: 0 })).count();
        assert_eq!(pulses, 11, "in ten seconds of work, and the last of it");
        assert!(acts[60..].iter().all(|act| *act == Act::Nothing));
    }

    #[test]
    fn a_piece_too_short_to_be_measured_is_told_from_none() {
        let mut watchdog = Watchdog::new(timing::DEFAULT.progress, false);
        let seen = Reading { count: 1, slowest: Some(Duration::ZERO) };
        assert_eq!(watchdog.look(LOOK, seen), Act::Tell(Event::Pulse { slowest_ms: 1 }));
    }
}
