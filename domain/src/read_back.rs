//! When the artifacts of an attempt count as read back: by what one coordinator saw of them, try after try.
//!
//! An artifact that is missing or damaged is its worker's fault, but it may only be late. A store that this coordinator
//! cannot read says nothing about the artifact: the attempt waits, however long that takes.

use std::time::Duration;

use crate::timing::{READ_BACK_AGAIN, READ_BACK_LATE, READ_BACK_LONGEST};

/// An artifact counts as damaged after so many tries at least.
const DAMAGED_TRIES: u32 = 3;

/// What one try to read all artifacts of an attempt came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reading {
    /// Each has the size and the checksum that its rank reported.
    Whole,
    /// One is missing, cut, or has another checksum, in a store that was seen before and after: that of this rank, and how.
    Damaged { rank: u32, why: String },
    /// Nobody can say: this coordinator cannot read it, and why.
    Unreadable(String),
}

/// What follows from a try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verified {
    /// The attempt has succeeded.
    Whole,
    /// The attempt is lost.
    Damaged,
    /// It is tried again after this wait.
    NotYet { wait: Duration, is_news: bool },
}

/// The tries of one coordinator at one attempt. They are kept in memory: another coordinator begins anew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tries {
    /// When it was first seen damaged, and how often since.
    damaged: Option<(Duration, u32)>,
    /// How often in a row it could not be read.
    unreadable: u32,
}

impl Tries {
    /// What follows from a try that began at `began`, by a clock that only goes forward: who was frozen after it has read
    /// no later for that.
    pub fn after(&mut self, began: Duration, reading: &Reading) -> Verified {
        match reading {
            Reading::Whole => Verified::Whole,
            Reading::Damaged { .. } => {
                self.unreadable = 0;
                let (since, tries) = self.damaged.get_or_insert((began, 0));
                *tries += 1;
                if *tries >= DAMAGED_TRIES && began.saturating_sub(*since) >= READ_BACK_LATE {
                    return Verified::Damaged;
                }
                Verified::NotYet { wait: READ_BACK_AGAIN, is_news: false }
            }
            Reading::Unreadable(_) => {
                // What was seen before the store went away may have been its first sign.
                self.damaged = None;
                let wait = READ_BACK_AGAIN * 2u32.saturating_pow(self.unreadable.min(16));
                let is_news = self.unreadable == 0;
                self.unreadable = self.unreadable.saturating_add(1);
                Verified::NotYet { wait: wait.min(READ_BACK_LONGEST), is_news }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn damaged() -> Reading {
        Reading::Damaged { rank: 0, why: "it is missing".to_owned() }
    }

    fn unreadable() -> Reading {
        Reading::Unreadable("Input/output error".to_owned())
    }

    const AGAIN: Verified = Verified::NotYet { wait: READ_BACK_AGAIN, is_news: false };

    #[test]
    fn an_artifact_may_be_late_but_not_for_ever() {
        let mut tries = Tries::default();
        let began = Duration::from_secs(1000);
        let mut now = began;
        while now < began + READ_BACK_LATE {
            assert_eq!(tries.after(now, &damaged()), AGAIN, "after {:?}", now - began);
            let mut copy = tries;
            assert_eq!(copy.after(now, &Reading::Whole), Verified::Whole, "it was late");
            now += READ_BACK_AGAIN;
        }
        assert_eq!(tries.after(now, &damaged()), Verified::Damaged);
    }

    #[test]
    fn one_long_pause_is_not_several_tries() {
        let mut tries = Tries::default();
        assert_eq!(tries.after(Duration::ZERO, &damaged()), AGAIN);
        assert_eq!(tries.after(READ_BACK_LATE * 9, &damaged()), AGAIN);
        assert_eq!(tries.after(READ_BACK_LATE * 9, &damaged()), Verified::Damaged);
    }

    #[test]
    fn a_store_that_cannot_be_read_is_waited_for_without_end_and_said_once() {
        let mut tries = Tries::default();
        let mut waits = Vec::new();
        for round in 0..100 {
            let Verified::NotYet { wait, is_news } = tries.after(Duration::from_secs(round), &unreadable()) else {
                panic!("decided by what nobody could read")
            };
            assert_eq!(is_news, round == 0);
            waits.push(wait);
        }
        assert!(waits.is_sorted() && waits[0] == READ_BACK_AGAIN && waits[99] == READ_BACK_LONGEST, "{waits:?}");
    }

    #[test]
    fn what_looked_damaged_before_the_store_went_away_does_not_count() {
        let mut tries = Tries::default();
        for _ in 0..9 {
            tries.after(Duration::ZERO, &damaged());
        }
        tries.after(READ_BACK_LATE, &unreadable());
        assert_eq!(tries.after(READ_BACK_LATE * 2, &damaged()), AGAIN);
        assert_eq!(
            tries.after(READ_BACK_LATE * 2, &unreadable()),
            Verified::NotYet { wait: READ_BACK_AGAIN, is_news: true }
        );
    }
}
