//! What is due by the clock, and in which order: the order keeps two gangs from training one job.
//!
//! After any wait the lease is checked first ([`Session::after_wait`]). Then the rank is stopped or ended if it must be,
//! then reports are saved to disk, and only then sent ([`Session::run_due`]).

use std::time::{Duration, Instant};

use tandem_proto::v1::{Heartbeat, RunningRank, worker_message};

use super::state::{LAST_REPORTS_WITHIN, Leaving, Session};
use crate::{attempt::Attempt, heartbeat_timer::HeartbeatTimer, report_log::ReportLog, verdict::Verdict};

/// While a rank runs, the loop turns at least this often, so that a frozen worker can tell.
const LOOP_EVERY: Duration = Duration::from_secs(1);

/// A turn that comes later than this was held up from outside the process.
const MAX_LAG: Duration = Duration::from_secs(1);

impl Session {
    /// Comes first after a wait that was to end at `wake_at`; `acknowledges` if it ended with an answer to a heartbeat.
    pub(super) fn after_wait(&mut self, now: Instant, wake_at: Instant, acknowledges: bool) {
        let frozen = frozen_for(now, wake_at);
        if let Some(frozen) = frozen {
            tracing::warn!(?frozen, "this worker did not run: it was stopped by a signal, or the machine was too busy");
            if let Some(attempt) = &mut self.attempt {
                attempt.shift(frozen);
            }
        }
        if !acknowledges {
            self.end_if_silent(now, frozen);
        }
    }

    /// Does all that is due now.
    pub(super) fn run_due(&mut self, now: Instant) {
        if let Some(over) = self.attempt.take_if(|attempt| attempt.is_over()) {
            over.forget();
            if let Some(next) = self.next_assignment.take() {
                self.on_assignment(now, &next);
            }
        }
        for over in self.recovered.extract_if(.., |log| log.is_finished()) {
            over.forget();
        }
        self.sampling.set_rank_runs(self.attempt.as_ref().is_some_and(|attempt| !attempt.has_ended()));
        self.end_if_silent(now, None);
        self.check_disconnect(now);
        if let Some(attempt) = &mut self.attempt {
            attempt.tick(now);
        }
        let ended = self.attempt.as_ref().is_none_or(Attempt::has_ended);
        if let Leaving::Graceful { report_until: report_until @ None } = &mut self.leaving
            && ended
        {
            *report_until = Some(now + LAST_REPORTS_WITHIN);
        }
        self.send_heartbeat(now);
        self.report_logs_mut().for_each(|log| log.save(now));
        while self.link.is_up()
            && let Some(message) = self.message(now)
        {
            self.link.send(message);
        }
        let present = self.attempt.as_ref().and_then(|attempt| attempt.unconfirmed(now));
        let earlier = self.recovered.iter().filter_map(ReportLog::unconfirmed);
        self.link.register.running = present.into_iter().chain(earlier).collect();
    }

    fn message(&mut self, now: Instant) -> Option<worker_message::Message> {
        if !self.may_report(now) {
            return None;
        }
        let of_attempt = self.attempt.as_mut().and_then(|attempt| attempt.message(now));
        of_attempt.or_else(|| self.recovered.iter_mut().find_map(|log| log.message(now)))
    }

    /// Ends the rank if the stream is up but silent: the coordinator may have given the attempt to other workers.
    fn end_if_silent(&mut self, now: Instant, frozen: Option<Duration>) {
        let Some(silence) = self.heartbeats.as_ref().and_then(|heartbeats| heartbeats.silence(now)) else { return };
        self.heartbeats = None;
        let cause = match frozen {
            Some(frozen) => format!(
                "the worker did not run for {frozen:.1?} (stopped by a signal, or the machine was too busy), so its \
                 lease may have run out; rank ended"
            ),
            None => format!(
                "the coordinator answered no heartbeat for {silence:.1?}, on a connection that nobody had closed (it hangs, \
                 or the network between is cut), so that the lease may have run out; rank ended"
            ),
        };
        tracing::warn!(server = self.link.server(), "{cause}");
        if let Some(attempt) = &mut self.attempt {
            // Silence is no fault of this machine.
            attempt.kill(if frozen.is_some() { Verdict::lost(cause) } else { Verdict::blameless(cause) });
        }
        if self.link.is_up() {
            self.link.disconnect();
        }
    }

    /// Asks the rank to stop if no coordinator could be reached for too long.
    fn check_disconnect(&mut self, now: Instant) {
        if self.link.is_up() {
            return self.disconnect_grace.connected();
        }
        self.heartbeats = None;
        self.disconnect_grace.disconnected(now);
        if let (Some(reason), Some(attempt)) = (self.disconnect_grace.expired(now), &mut self.attempt) {
            attempt.stop(now, &reason);
        }
    }

    /// Sends the heartbeat that is due.
    fn send_heartbeat(&mut self, now: Instant) {
        let Some(sequence) = self.heartbeats.as_mut().and_then(|heartbeats| heartbeats.tick(now)) else { return };
        let facts = self.sampling.facts();
        self.link.send(worker_message::Message::Heartbeat(Heartbeat { sequence, facts, running: self.running(now) }));
    }

    fn running(&self, now: Instant) -> Vec<RunningRank> {
        let present = self.attempt.as_ref().and_then(|attempt| attempt.running(now));
        present.into_iter().chain(self.recovered.iter().filter_map(ReportLog::running)).collect()
    }

    /// When [`Self::run_due`] has something to do even if nothing happens.
    pub(super) fn wake_at(&self, now: Instant) -> Instant {
        let runs = self.attempt.as_ref().filter(|attempt| !attempt.has_ended());
        let report_until = match self.leaving {
            Leaving::Graceful { report_until } => report_until,
            Leaving::No | Leaving::Immediate => None,
        };
        let due = [
            self.heartbeats.as_ref().map(HeartbeatTimer::due_at),
            runs.and_then(Attempt::tick_at),
            // It is asked to stop only once.
            runs.and_then(|_| self.disconnect_grace.expires_at()).filter(|at| now < *at),
            runs.map(|_| now + LOOP_EVERY),
            self.looks_until.filter(|until| now < *until),
            report_until,
        ];
        let may_report = self.link.is_up() && self.may_report(now);
        let of_logs = self.report_logs().flat_map(|log| [log.save_at(now), log.message_at(now).filter(|_| may_report)]);
        due.into_iter().chain(of_logs).flatten().min().unwrap_or(now + Duration::from_secs(3600))
    }

    /// A leaving worker has nothing more to wait for.
    pub(super) fn may_exit(&self, now: Instant) -> bool {
        match self.leaving {
            Leaving::No => false,
            Leaving::Graceful { report_until } => self.all_sent() || report_until.is_some_and(|end| now >= end),
            Leaving::Immediate => self.attempt.as_ref().is_none_or(Attempt::has_ended),
        }
    }
}

/// How long this process did not run, if it was to wake at `wake_at` and did so `now`.
fn frozen_for(now: Instant, wake_at: Instant) -> Option<Duration> {
    let late = now.saturating_duration_since(wake_at);
    (late > MAX_LAG).then_some(late)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_that_ends_late_is_told_from_one_that_was_planned() {
        let start = Instant::now();
        let wake_at = start + LOOP_EVERY;
        // Something happened before, or the machine was a little busy.
        assert_eq!(frozen_for(start, wake_at), None);
        assert_eq!(frozen_for(wake_at + MAX_LAG, wake_at), None);
        assert_eq!(frozen_for(wake_at + Duration::from_secs(60), wake_at), Some(Duration::from_secs(60)));
    }
}
