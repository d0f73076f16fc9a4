//! A bound on wrong tries, by where they come from. It never holds up the right token: that is judged before.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use tandem_domain::access::{Denial, token::TokenId};

use crate::listen::peer::Peer;

/// Of each kind. When there are more, those that are forgiven are forgotten, and else all.
const KEPT_MAX: usize = 4096;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Source {
    Address(IpAddr),
    Account(u32),
    Token(TokenId),
}

pub(super) struct Throttle {
    /// So many in a row, ...
    burst: u32,
    /// ... and one more each time this has passed.
    every: Duration,
    tries: Mutex<HashMap<Source, (u32, Instant)>>,
}

impl Throttle {
    pub(super) fn new(burst: u32, every: Duration) -> Self {
        Self { burst, every, tries: Mutex::default() }
    }

    /// Counts a wrong try; whether it was one too many.
    pub(super) fn is_too_many(&self, source: Source, now: Instant) -> bool {
        self.first_over(&[source], now).is_some()
    }

    /// Counts a wrong try of all of these; the first of which it was one too many. It is then counted of none: else two would
    /// keep each other full.
    fn first_over(&self, sources: &[Source], now: Instant) -> Option<usize> {
        let mut tries = self.tries.lock().unwrap_or_else(PoisonError::into_inner);
        if tries.len() >= KEPT_MAX {
            tries.retain(|_, (count, since)| forgive(*count, *since, now, self.every).0 > 0);
            if tries.len() >= KEPT_MAX {
                tries.clear();
            }
        }
        for (place, source) in sources.iter().enumerate() {
            let (count, since) = tries.entry(source.clone()).or_insert((0, now));
            (*count, *since) = forgive(*count, *since, now, self.every);
            if *count >= self.burst {
                return Some(place);
            }
        }
        for source in sources {
            tries.entry(source.clone()).and_modify(|(count, _)| *count += 1);
        }
        None
    }
}

/// Counts a wrong try, and says no more than that when there were too many.
pub(super) fn wrong(tries: &Throttle, denial: Denial, peer: Peer, id: Option<&TokenId>) -> Denial {
    let address = match peer {
        Peer::Tcp { address } => Some(Source::Address(address.ip())),
        Peer::Socket { .. } => None,
    };
    let sources: Vec<Source> = address.into_iter().chain(id.cloned().map(Source::Token)).collect();
    match tries.first_over(&sources, Instant::now()).and_then(|place| sources.get(place)) {
        Some(Source::Address(address)) => Denial::TooMany(address.to_string()),
        Some(Source::Token(id)) => Denial::TooMany(format!("those who name {id}")),
        Some(Source::Account(_)) | None => denial,
    }
}

/// What is left of `count` wrong tries, and since when.
fn forgive(count: u32, since: Instant, now: Instant, every: Duration) -> (u32, Instant) {
    let passed = now.saturating_duration_since(since).as_millis() / every.as_millis().max(1);
    let forgiven = u32::try_from(passed).unwrap_or(u32::MAX);
    match count.checked_sub(forgiven) {
        Some(left) if left > 0 => (left, since + every * forgiven),
        _ => (0, now),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_answered_and_then_one_now_and_then() {
        const BURST: u32 = 20;
        const EVERY: Duration = Duration::from_secs(3);
        let (throttle, start) = (Throttle::new(BURST, EVERY), Instant::now());
        let from = |last: u8| Source::Address(IpAddr::from([10, 0, 0, last]));
        for _ in 0..BURST {
            assert!(!throttle.is_too_many(from(1), start));
        }
        assert!(throttle.is_too_many(from(1), start));
        assert!(!throttle.is_too_many(from(2), start), "others are not held up");
        let later = start + EVERY;
        assert!(!throttle.is_too_many(from(1), later));
        assert!(throttle.is_too_many(from(1), later));
        assert!(!throttle.is_too_many(from(1), start + EVERY * BURST));
    }

    /// Whoever tries again and again is answered now and then, whatever the two are full of.
    #[test]
    fn two_bounds_do_not_keep_each_other_full() {
        const EVERY: Duration = Duration::from_secs(3);
        let (throttle, start) = (Throttle::new(1, EVERY), Instant::now());
        let [one, other] = [1, 2].map(|last| Source::Address(IpAddr::from([10, 0, 0, last])));
        assert!(!throttle.is_too_many(one.clone(), start));
        assert!(!throttle.is_too_many(other.clone(), start + EVERY / 2));
        let both = [one, other];
        let answered = |tenth: u32| throttle.first_over(&both, start + EVERY * tenth / 10).is_none();
        let answered: Vec<u32> = (5..60).filter(|tenth| answered(*tenth)).collect();
        assert_eq!(answered, [15, 25, 35, 45, 55]);
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let (throttle, now) = (Throttle::new(20, Duration::from_secs(3)), Instant::now());
        for number in 0..u32::try_from(3 * KEPT_MAX).unwrap() {
            throttle.is_too_many(Source::Address(IpAddr::from(number.to_be_bytes())), now);
        }
        assert!(throttle.tries.lock().unwrap().len() <= KEPT_MAX);
    }
}
