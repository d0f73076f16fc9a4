//! When to send a heartbeat, and when the lease may have run out.
//!
//! The coordinator counts the lease from when it *received* a heartbeat. The worker does not know that moment. It counts
//! from when it *sent* the newest acknowledged heartbeat, which is earlier, so that it always stops before its lease runs
//! out.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// Heartbeats of one stream.
pub(crate) struct HeartbeatTimer {
    interval: Duration,
    self_end: Duration,
    next_sequence: u64,
    next_at: Instant,
    /// Sent and not acknowledged, oldest first.
    unanswered: VecDeque<(u64, Instant)>,
    acknowledged_at: Instant,
}

impl HeartbeatTimer {
    /// Starts when the coordinator has answered the registration, which was sent at `register_sent_at`.
    pub(crate) fn new(now: Instant, register_sent_at: Instant, interval: Duration, self_end: Duration) -> Self {
        let unanswered = VecDeque::new();
        Self { interval, self_end, next_sequence: 1, next_at: now, unanswered, acknowledged_at: register_sent_at }
    }

    /// The number of the heartbeat to send now, if it is time for one.
    pub(crate) fn tick(&mut self, now: Instant) -> Option<u64> {
        if now < self.next_at {
            return None;
        }
        // A worker that was frozen sends one heartbeat, not all that it missed.
        self.next_at = now + self.interval;
        let sequence = self.next_sequence;
        self.next_sequence += 1;
        self.unanswered.push_back((sequence, now));
        Some(sequence)
    }

    pub(crate) fn acknowledge(&mut self, sequence: u64) {
        while let Some(&(oldest, sent_at)) = self.unanswered.front()
            && oldest <= sequence
        {
            self.acknowledged_at = sent_at;
            self.unanswered.pop_front();
        }
    }

    /// How long nothing was acknowledged, once that is too long.
    pub(crate) fn silence(&self, now: Instant) -> Option<Duration> {
        (now >= self.silent_at()).then(|| now - self.acknowledged_at)
    }

    /// When [`Self::tick`] or [`Self::silence`] next returns something.
    pub(crate) fn due_at(&self) -> Instant {
        self.next_at.min(self.silent_at())
    }

    fn silent_at(&self) -> Instant {
        self.acknowledged_at + self.self_end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn silence_counts_from_the_sending_of_the_newest_acknowledged_heartbeat() {
        let start = Instant::now();
        let mut timer = HeartbeatTimer::new(start, start, SECOND, 7 * SECOND);
        for second in 0..5 {
            assert_eq!(timer.tick(start + second * SECOND), Some(u64::from(second) + 1));
        }
        // The second heartbeat, sent after 1 s, is acknowledged late.
        timer.acknowledge(2);
        assert_eq!(timer.silence(start + 8 * SECOND - Duration::from_millis(1)), None);
        assert_eq!(timer.silence(start + 8 * SECOND), Some(7 * SECOND));
        timer.acknowledge(5);
        assert_eq!(timer.silence(start + 8 * SECOND), None);
    }

    #[test]
    fn a_repeated_or_unknown_acknowledgement_changes_nothing() {
        let start = Instant::now();
        let mut timer = HeartbeatTimer::new(start, start, SECOND, 7 * SECOND);
        timer.tick(start);
        timer.acknowledge(1);
        timer.acknowledge(1);
        timer.acknowledge(900);
        assert_eq!(timer.silence(start + 7 * SECOND), Some(7 * SECOND));
    }

    #[test]
    fn a_worker_that_was_frozen_sends_one_heartbeat_when_it_goes_on() {
        let start = Instant::now();
        let mut timer = HeartbeatTimer::new(start, start, SECOND, 7 * SECOND);
        assert_eq!(timer.tick(start), Some(1));
        assert_eq!(timer.tick(start + Duration::from_millis(500)), None);
        assert_eq!(timer.tick(start + 60 * SECOND), Some(2));
        assert_eq!(timer.tick(start + 60 * SECOND), None);
        assert_eq!(timer.due_at(), start + 7 * SECOND);
    }

    #[test]
    fn a_registration_that_was_sent_a_minute_ago_proves_nothing() {
        let start = Instant::now();
        let timer = HeartbeatTimer::new(start + 60 * SECOND, start, SECOND, 7 * SECOND);
        assert_eq!(timer.silence(start + 60 * SECOND), Some(60 * SECOND));
    }

    #[test]
    fn late_answers_do_not_help_a_worker_that_was_frozen() {
        let start = Instant::now();
        let mut timer = HeartbeatTimer::new(start, start, SECOND, 7 * SECOND);
        timer.tick(start);
        timer.tick(start + SECOND);
        // Frozen here. Afterwards the answers to both still wait in the socket.
        let back = start + 61 * SECOND;
        assert_eq!(timer.silence(back), Some(61 * SECOND));
        timer.acknowledge(2);
        assert_eq!(timer.silence(back), Some(60 * SECOND));
    }
}
