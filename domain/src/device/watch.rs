//! Follows a device from look to look, and decides whether it may be given out.
//!
//! One look proves little: a program starts, allocates, ends. So a device is in foreign use once it was so for a while, and free
//! again once it was well below the bound for longer: it does not flap. Only the first look counts at once, as nothing is known
//! from before.

use std::time::Duration;

use super::{Process, Reading, is_by_hardware, throttle_words, xid_of_hardware};
use crate::{datasets::size, timing::THROTTLED};

/// What is too much, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Memory that others may use: a display takes some.
    pub memory: u64,
    /// Utilisation, in percent, of a device on which no rank is.
    pub utilization: u32,
    pub taken_after: Duration,
    pub free_after: Duration,
    /// By the clock, and not by looks: what is told of it says how long.
    pub throttled_after: Duration,
}

impl Bounds {
    /// For a device that is looked at so often: nothing follows from one look.
    pub fn of(every: Duration) -> Self {
        Self {
            memory: 512 << 20,
            utilization: 20,
            taken_after: every * 2,
            free_after: every * 6,
            throttled_after: THROTTLED,
        }
    }

    /// With what the policy of the house says of others' use.
    pub fn with(self, memory: u64, utilization: u32, after: Duration) -> Self {
        let (taken_after, free_after) = (self.taken_after.max(after), self.free_after.max(after));
        Self { memory, utilization, taken_after, free_after, ..self }
    }

    /// A device that was taken is free again below these.
    fn lower(self) -> Self {
        Self { memory: self.memory / 2, utilization: self.utilization / 2, ..self }
    }
}

/// One look.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'s> {
    pub reading: &'s Reading,
    pub processes: &'s [Process],
    /// A rank of this worker runs, and may use the device: what nobody else accounts for is its own.
    pub rank_runs: bool,
    /// Xid errors since the look before.
    pub xids: &'s [u64],
    /// Errors of memory that could not be corrected, so far; `None` if the device does not count them.
    pub memory_errors: Option<u64>,
    /// The driver says that the device is not there any more.
    pub is_lost: bool,
}

/// Why a device is not well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ailment {
    pub reason: String,
    /// When it was seen first.
    pub since: Duration,
    /// It is so now, whoever says otherwise: a device that is gone.
    pub lasts: bool,
}

/// What follows for who gives devices out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Why nobody is given the device at this moment.
    pub withheld: Option<String>,
    /// Why it is to be quarantined.
    pub ailment: Option<Ailment>,
}

/// What is remembered from look to look.
#[derive(Clone, Debug, Default)]
pub struct Watch {
    has_looked: bool,
    /// Whether it is in foreign use, by whom, why nobody gets it, in words, and since when it has looked otherwise.
    taken: Option<(Option<u32>, String)>,
    other_since: Option<Duration>,
    throttled_since: Option<Duration>,
    /// By its own hardware, at the look before.
    was_slowed: bool,
    memory_errors: Option<u64>,
    /// The newest evidence that the hardware is bad.
    failed: Option<Ailment>,
}

impl Watch {
    /// Decides at `now`, by any clock that only grows.
    pub fn look(&mut self, now: Duration, seen: &Seen<'_>, bounds: &Bounds) -> Verdict {
        let lost = self.lost(now, seen);
        if seen.is_lost {
            // Nothing that it says means anything.
            return Verdict { withheld: lost.as_ref().map(|lost| lost.reason.clone()), ailment: lost };
        }
        self.follow_use(now, seen, bounds);
        self.follow_errors(now, seen);
        let withheld = self.taken.as_ref().map(|(_, why)| why.clone());
        let ailment = self.failed.clone().or_else(|| self.throttled(now, seen.reading, bounds));
        Verdict { withheld, ailment }
    }

    fn lost(&mut self, now: Duration, seen: &Seen<'_>) -> Option<Ailment> {
        if !seen.is_lost {
            if self.failed.as_ref().is_some_and(|known| known.lasts) {
                self.failed = None;
            }
            return None;
        }
        if !self.failed.as_ref().is_some_and(|known| known.lasts) {
            let reason =
                "the card has fallen off the bus: its driver says that it is lost; restart the machine, and look at \
                          its power and its seat if that happens again"
                    .to_owned();
            self.failed = Some(Ailment { reason, since: now, lasts: true });
        }
        self.failed.clone()
    }

    fn follow_use(&mut self, now: Duration, seen: &Seen<'_>, bounds: &Bounds) {
        let (is_taken, bounds_now) = match self.taken {
            Some(_) => (true, bounds.lower()),
            None => (false, *bounds),
        };
        let looks_taken = is_foreign(seen, &bounds_now);
        if looks_taken == is_taken {
            self.other_since = None;
        } else {
            let since = *self.other_since.get_or_insert(now);
            let wait = if is_taken { bounds.free_after } else { bounds.taken_after };
            if now.saturating_sub(since) >= wait || !self.has_looked {
                self.other_since = None;
                self.taken = looks_taken.then(|| user(seen, &bounds_now));
            }
        }
        // Its figures change with each look, and would be news each time: the words change with who it is, and when the hardware
        // begins or ends to defend itself where nobody is seen.
        let slowed = seen.reading.throttle.is_some_and(is_by_hardware);
        if let Some((who, _)) = &self.taken
            && looks_taken
        {
            let (now_who, words) = user(seen, &bounds_now);
            if now_who != *who || (who.is_none() && slowed != self.was_slowed) {
                self.taken = Some((now_who, words));
            }
        }
        self.was_slowed = slowed;
        self.has_looked = true;
    }

    fn follow_errors(&mut self, now: Duration, seen: &Seen<'_>) {
        let xid = seen.xids.iter().rev().find_map(|xid| xid_of_hardware(*xid).map(|words| (*xid, words)));
        if let Some((xid, words)) = xid {
            let reason = format!("the card failed: {words} (Xid {xid})");
            self.failed = Some(Ailment { reason, since: now, lasts: false });
        }
        let more = seen.memory_errors.zip(self.memory_errors).map_or(0, |(now, before)| now.saturating_sub(before));
        if more > 0 {
            let reason = format!("the card's memory had {more} more errors that could not be corrected");
            self.failed = Some(Ailment { reason, since: now, lasts: false });
        }
        self.memory_errors = seen.memory_errors.or(self.memory_errors);
    }

    fn throttled(&mut self, now: Duration, reading: &Reading, bounds: &Bounds) -> Option<Ailment> {
        let bits = reading.throttle.unwrap_or(0);
        if !is_by_hardware(bits) {
            self.throttled_since = None;
            return None;
        }
        let since = *self.throttled_since.get_or_insert(now);
        (now.saturating_sub(since) >= bounds.throttled_after).then(|| {
            let reason = format!(
                "the card has been throttled for {} s: {}",
                bounds.throttled_after.as_secs(),
                throttle_words(bits).join(", ")
            );
            Ailment { reason, since, lasts: false }
        })
    }
}

/// Whether others use more of the device than they may.
fn is_foreign(seen: &Seen<'_>, bounds: &Bounds) -> bool {
    let memory = |ours: bool| -> u64 {
        let theirs = seen.processes.iter().filter(|process| process.is_ours == ours);
        theirs.filter_map(|process| process.memory).fold(0, u64::saturating_add)
    };
    if memory(false) > bounds.memory {
        return true;
    }
    // Whose the rest is nobody says: in a container other people's processes cannot be seen.
    let is_ours = seen.rank_runs || seen.processes.iter().any(|process| process.is_ours);
    let rest = seen.reading.memory_used.unwrap_or(0);
    !is_ours && (rest > bounds.memory || seen.reading.utilization_percent.unwrap_or(0) > bounds.utilization)
}

/// The one who uses most of it, by pid, and why nobody gets it, in words.
fn user(seen: &Seen<'_>, bounds: &Bounds) -> (Option<u32>, String) {
    let foreign = || seen.processes.iter().filter(|process| !process.is_ours);
    let Some(most) = foreign().max_by_key(|process| (process.memory, process.pid)) else {
        return (None, use_of_nobody(seen.reading, bounds));
    };
    let more = match foreign().count() - 1 {
        0 => String::new(),
        1 => " and 1 more process".to_owned(),
        more => format!(" and {more} more processes"),
    };
    (Some(most.pid), format!("in use by {most}{more}"))
}

/// Why a card is busy on which no process can be seen. What is too much of it is told, and what its hardware says comes first.
fn use_of_nobody(reading: &Reading, bounds: &Bounds) -> String {
    let memory = reading.memory_used.filter(|used| *used > bounds.memory).map(size);
    let what = match (memory, reading.utilization_percent) {
        (Some(memory), _) => memory,
        (None, Some(load)) => format!("load {load} %"),
        (None, None) => "memory".to_owned(),
    };
    let by = format!("somebody whose processes cannot be seen from here ({what})");
    let bits = reading.throttle.unwrap_or(0);
    if !is_by_hardware(bits) {
        return format!("in use by {by}");
    }
    let hot = reading.temperature_celsius.map(|celsius| format!(" at {celsius} °C")).unwrap_or_default();
    format!("slowed by its own hardware{hot} ({}); perhaps in use by {by}", throttle_words(bits).join(", "))
}

#[cfg(test)]
#[path = "watch_tests.rs"]
mod tests;
