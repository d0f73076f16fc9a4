//! What the clock asks for, and in which order: the order is what keeps two gangs from training one job.
//!
//! After any pause the lease comes first ([`Session::wake`]), then what the rank is asked, then the disk, and only then
//! does anything go out ([`Session::settle`]).

use std::time::{Duration, Instant};

use tandem_proto::v1::{Heartbeat, RunningRank, coordinator_message::Message as Theirs, worker_message as ours};

use super::{FAREWELL, Happened, Leaving, Session};
use crate::{account::Account, attempt::Attempt, link::LinkEvent, pulse::Pulse, verdict::Verdict};

/// While a rank runs the loop turns at least this often, to see that it does.
const TURN: Duration = Duration::from_secs(1);

/// A turn that comes later than this was held up from outside.
const LATE: Duration = Duration::from_secs(1);

impl Session {
    /// First thing after a pause that was to end at `wake_at`, before what `happened` is looked at.
    pub(super) fn wake(&mut self, now: Instant, wake_at: Instant, happened: &Happened) {
        let frozen = frozen_for(now, wake_at);
        if let Some(frozen) = frozen {
            tracing::warn!(?frozen, "this worker did not run: stopped by a signal, or a machine without time for it");
            if let Some(attempt) = &mut self.attempt {
                attempt.shift(frozen);
            }
        }
        // An acknowledgement counts from when its heartbeat was sent, however late it is read.
        if !matches!(happened, Happened::Link(LinkEvent::Message(Theirs::HeartbeatAck(_)))) {
            self.end_if_silent(now, frozen);
        }
    }

    /// Does all that is due now.
    pub(super) fn settle(&mut self, now: Instant) {
        if let Some(over) = self.attempt.take_if(|attempt| attempt.is_over()) {
            over.forget();
            if let Some(next) = self.next.take() {
                self.on_assignment(now, &next);
            }
        }
        for over in self.leftovers.extract_if(.., |account| account.is_done()) {
            over.forget();
        }
        self.end_if_silent(now, None);
        self.watch_absence(now);
        if let Some(attempt) = &mut self.attempt {
            attempt.tick(now);
        }
        let ended = self.attempt.as_ref().is_none_or(Attempt::has_ended);
        if let Leaving::Asked { farewell_ends: farewell_ends @ None } = &mut self.leaving
            && ended
        {
            *farewell_ends = Some(now + FAREWELL);
        }
        self.beat(now);
        self.accounts_mut().for_each(|account| account.save(now));
        while self.link.is_up()
            && let Some(message) = self.message(now)
        {
            self.link.send(message);
        }
        let theirs = self.attempt.as_ref().and_then(|attempt| attempt.unsettled(now));
        let earlier = self.leftovers.iter().filter_map(Account::unsettled);
        self.link.register.running = theirs.into_iter().chain(earlier).collect();
    }

    fn message(&mut self, now: Instant) -> Option<ours::Message> {
        let of_attempt = self.attempt.as_mut().and_then(|attempt| attempt.message(now));
        of_attempt.or_else(|| self.leftovers.iter_mut().find_map(|account| account.message(now)))
    }

    /// A coordinator that is there but silent has, for all we know, given our attempt to others: the rank ends.
    fn end_if_silent(&mut self, now: Instant, frozen: Option<Duration>) {
        let Some(silence) = self.pulse.as_ref().and_then(|pulse| pulse.silence(now)) else { return };
        self.pulse = None;
        let cause = match frozen {
            Some(frozen) => format!(
                "the worker did not run for {frozen:.1?} (stopped by a signal, or a machine without time for it), and \
                 its lease with it; rank ended"
            ),
            None => format!("the coordinator was reachable but acknowledged nothing for {silence:.1?}; rank ended"),
        };
        tracing::warn!(server = self.link.server(), "{cause}");
        if let Some(attempt) = &mut self.attempt {
            attempt.kill(Verdict::lost(cause));
        }
        if self.link.is_up() {
            self.link.hang_up();
        }
    }

    /// Asks the rank to stop if nobody has been there for too long.
    fn watch_absence(&mut self, now: Instant) {
        if self.link.is_up() {
            return self.away.back();
        }
        self.pulse = None;
        self.away.gone(now);
        if let (Some(reason), Some(attempt)) = (self.away.too_long(now), &mut self.attempt) {
            attempt.stop(now, &reason);
        }
    }

    /// Sends the heartbeat that is due.
    fn beat(&mut self, now: Instant) {
        let Some(sequence) = self.pulse.as_mut().and_then(|pulse| pulse.beat(now)) else { return };
        let facts = self.device.facts(self.attempt.as_ref().map(Attempt::pid));
        self.link.send(ours::Message::Heartbeat(Heartbeat { sequence, facts, running: self.running(now) }));
    }

    fn running(&self, now: Instant) -> Vec<RunningRank> {
        let theirs = self.attempt.as_ref().and_then(|attempt| attempt.running(now));
        theirs.into_iter().chain(self.leftovers.iter().filter_map(Account::running)).collect()
    }

    /// When [`Self::settle`] has something to do even if nothing happens.
    pub(super) fn wake_at(&self, now: Instant) -> Instant {
        let runs = self.attempt.as_ref().filter(|attempt| !attempt.has_ended());
        let farewell = match self.leaving {
            Leaving::Asked { farewell_ends } => farewell_ends,
            Leaving::No | Leaving::AtOnce => None,
        };
        let due = [
            self.pulse.as_ref().map(Pulse::due_at),
            runs.and_then(Attempt::tick_at),
            // Once asked to stop it is not asked again.
            runs.and_then(|_| self.away.too_long_at()).filter(|at| now < *at),
            runs.map(|_| now + TURN),
            farewell,
        ];
        let of_accounts = self
            .accounts()
            .flat_map(|account| [account.save_at(), account.message_at(now).filter(|_| self.link.is_up())]);
        due.into_iter().chain(of_accounts).flatten().min().unwrap_or(now + Duration::from_secs(3600))
    }

    pub(super) fn may_leave(&self, now: Instant) -> bool {
        match self.leaving {
            Leaving::No => false,
            Leaving::Asked { farewell_ends } => self.all_told() || farewell_ends.is_some_and(|end| now >= end),
            Leaving::AtOnce => self.attempt.as_ref().is_none_or(Attempt::has_ended),
        }
    }

    /// Everything that is over was told to whom it concerns, and nothing runs.
    pub(super) fn all_told(&self) -> bool {
        self.attempt.as_ref().is_none_or(Attempt::is_told) && self.leftovers.iter().all(Account::is_told)
    }

    fn accounts(&self) -> impl Iterator<Item = &Account> {
        self.attempt.as_deref().into_iter().chain(&self.leftovers)
    }

    fn accounts_mut(&mut self) -> impl Iterator<Item = &mut Account> {
        self.attempt.as_deref_mut().into_iter().chain(&mut self.leftovers)
    }
}

/// How long this process did not run, if it was to go on at `wake_at` and does so `now`.
fn frozen_for(now: Instant, wake_at: Instant) -> Option<Duration> {
    let late = now.saturating_duration_since(wake_at);
    (late > LATE).then_some(late)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_that_ends_late_is_told_from_one_that_was_asked_for() {
        let start = Instant::now();
        let wake_at = start + TURN;
        // Something happened before, or the machine was a little busy.
        assert_eq!(frozen_for(start, wake_at), None);
        assert_eq!(frozen_for(wake_at + LATE, wake_at), None);
        assert_eq!(frozen_for(wake_at + Duration::from_secs(60), wake_at), Some(Duration::from_secs(60)));
    }
}
