//! What may happen thousands of times is told once a minute.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

const QUIET: Duration = Duration::from_secs(60);

/// Of one kind of event.
#[derive(Debug)]
pub(super) struct Burst {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    told: Option<Instant>,
    untold: u64,
}

impl Burst {
    pub(super) const fn new() -> Self {
        Self { state: Mutex::new(State { told: None, untold: 0 }) }
    }

    /// One more. Where it is to be told: how many were not, since the one that was.
    pub(super) fn note(&self) -> Option<u64> {
        self.note_at(Instant::now())
    }

    fn note_at(&self, now: Instant) -> Option<u64> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.told.is_some_and(|told| now.duration_since(told) < QUIET) {
            state.untold += 1;
            return None;
        }
        state.told = Some(now);
        Some(std::mem::take(&mut state.untold))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_told_and_the_next_a_minute_later_with_how_many_came_between() {
        let (burst, start) = (Burst::new(), Instant::now());
        assert_eq!(burst.note_at(start), Some(0));
        for second in 1..60 {
            assert_eq!(burst.note_at(start + Duration::from_secs(second)), None);
        }
        assert_eq!(burst.note_at(start + Duration::from_secs(60)), Some(59));
        assert_eq!(burst.note_at(start + Duration::from_secs(61)), None);
        assert_eq!(burst.note_at(start + Duration::from_secs(300)), Some(1));
    }
}
