//! When a message is tried again, and when no more.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

/// How long after its first, second, ... try a message is tried again, in minutes; from there on each hour: who comes back is
/// told of all within an hour.
const AFTER_MINUTES: [i64; 5] = [1, 2, 5, 15, 30];
const THEN_MINUTES: i64 = 60;
/// A day in all.
const TRIES_MAX: u32 = 28;
/// A whole try, with everything in it: looking up the name, connecting, sending, reading the answer.
pub const TRY_LIMIT: Duration = Duration::from_secs(20);
/// Beyond the limit of a try: whoever tries has its answer written down by then. Another sender begins after this.
const CLAIM_SECONDS: i64 = 90;
/// What was sent or given up is kept for so long, to be looked at.
pub const KEPT_DAYS: i64 = 14;

/// How a try went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tried {
    Sent,
    /// It may go better later.
    Failed(String),
    /// It never will: whoever is there says so.
    Refused(String),
}

/// What becomes of a message after a try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    Sent,
    Again { at: DateTime<Utc>, why: String },
    GivenUp { why: String },
}

/// Until when nobody else tries a message that is being tried since `now`.
pub fn claimed_until(now: DateTime<Utc>) -> DateTime<Utc> {
    now + TimeDelta::seconds(CLAIM_SECONDS)
}

/// What follows from how try number `tries` went, that one included.
pub fn after(tries: u32, now: DateTime<Utc>, tried: Tried) -> Next {
    match tried {
        Tried::Sent => Next::Sent,
        Tried::Refused(why) => Next::GivenUp { why },
        Tried::Failed(why) => {
            let index = usize::try_from(tries.saturating_sub(1)).unwrap_or(usize::MAX);
            let minutes = AFTER_MINUTES.get(index).copied().unwrap_or(THEN_MINUTES);
            if tries < TRIES_MAX {
                Next::Again { at: now + TimeDelta::minutes(minutes), why }
            } else {
                Next::GivenUp { why: format!("{why}; tried {tries} times over a day") }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minutes: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_700_000_000, 0).unwrap() + TimeDelta::minutes(minutes)
    }

    fn failed() -> Tried {
        Tried::Failed("no answer".to_owned())
    }

    #[test]
    fn who_is_down_for_an_hour_is_told_within_the_next_half() {
        let (mut now, mut tries) = (at(0), 0);
        loop {
            tries += 1;
            let is_down = now < at(60);
            match after(tries, now, if is_down { failed() } else { Tried::Sent }) {
                Next::Again { at, .. } => now = at,
                Next::Sent => break,
                given_up @ Next::GivenUp { .. } => panic!("{given_up:?}"),
            }
        }
        assert!(now <= at(115) && tries < 8, "{tries} tries, until {now}");
    }

    #[test]
    fn after_a_day_it_is_given_up_with_the_last_reason() {
        let (mut now, mut tries) = (at(0), 1);
        while let Next::Again { at, .. } = after(tries, now, failed()) {
            now = at;
            tries += 1;
        }
        assert!((at(22 * 60)..at(25 * 60)).contains(&now), "{now}");
        let Next::GivenUp { why } = after(tries, now, failed()) else { panic!("goes on") };
        assert!(why.starts_with("no answer; tried 28 times"), "{why}");
        assert!(matches!(after(u32::MAX, now, failed()), Next::GivenUp { .. }));
    }

    #[test]
    fn who_says_that_it_is_gone_is_asked_no_more() {
        let gone = Tried::Refused("410 Gone".to_owned());
        assert_eq!(after(1, at(0), gone), Next::GivenUp { why: "410 Gone".to_owned() });
    }

    #[test]
    fn nobody_else_tries_while_a_try_may_still_go_on() {
        assert!(claimed_until(at(0)) > at(0) + TimeDelta::from_std(TRY_LIMIT).unwrap() * 2);
    }
}
