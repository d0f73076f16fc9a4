//! What each person may have at a time, and what is said to who has that.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::span;

/// Of one person. What is not set has no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Devices on which its jobs run at a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub running_devices: Option<u32>,
    /// Jobs that wait, for others or for workers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queued_jobs: Option<u32>,
    /// Hours of devices in the last seven days.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_hours_a_week: Option<f64>,
    /// The longest that a job may train; also for those that say nothing.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "span")]
    pub max_time: Option<Duration>,
    /// The longest that it may hold a device for itself, at once.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "span")]
    pub hold: Option<Duration>,
    /// Devices that it may hold at a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_devices: Option<u32>,
    /// Files of its jobs in the store, in GB (10^9 bytes).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stored_gb: Option<f64>,
}

impl Limits {
    /// Where a policy says nothing: nobody holds a device for days, or all of them.
    pub const EVERYWHERE: Self = Self {
        running_devices: None,
        queued_jobs: None,
        device_hours_a_week: None,
        max_time: None,
        hold: Some(Duration::from_secs(12 * 3600)),
        held_devices: Some(1),
        stored_gb: None,
    };

    /// These, and those of `all` where they say nothing.
    pub fn over(self, all: &Self) -> Self {
        Self {
            running_devices: self.running_devices.or(all.running_devices),
            queued_jobs: self.queued_jobs.or(all.queued_jobs),
            device_hours_a_week: self.device_hours_a_week.or(all.device_hours_a_week),
            max_time: self.max_time.or(all.max_time),
            hold: self.hold.or(all.hold),
            held_devices: self.held_devices.or(all.held_devices),
            stored_gb: self.stored_gb.or(all.stored_gb),
        }
    }

    /// The keys that are wrong, and why, in the words of `at`.
    pub(super) fn wrong(&self, at: &str) -> Vec<(&'static str, String)> {
        let mut wrong = Vec::new();
        if let Some(hours) = self.device_hours_a_week.filter(|hours| !(hours.is_finite() && *hours >= 0.0)) {
            wrong.push(("device_hours_a_week", format!("`{at}.device_hours_a_week` = {hours}: expected 0 or more")));
        }
        if let Some(gb) = self.stored_gb.filter(|gb| !(gb.is_finite() && *gb >= 0.0)) {
            wrong.push(("stored_gb", format!("`{at}.stored_gb` = {gb}: expected 0 or more")));
        }
        if self.running_devices == Some(0) {
            let instead = "to keep somebody out: tandem user disable NAME";
            let why = format!("`{at}.running_devices` = 0 would run nothing of theirs; {instead}");
            wrong.push(("running_devices", why));
        }
        if self.max_time.is_some_and(|time| time < LEAST_TIME) {
            wrong.push(("max_time", format!("`{at}.max_time`: expected {} or more", span::show(LEAST_TIME))));
        }
        wrong
    }

    /// Whether `count` more jobs may wait where `waiting` do.
    ///
    /// # Errors
    /// Says what the limit is.
    pub fn may_queue(&self, who: &str, waiting: u64, count: u64) -> Result<(), String> {
        match self.queued_jobs {
            Some(most) if waiting + count > u64::from(most) => Err(format!(
                "{who} has {waiting} waiting jobs, and this brings {count} more, of {most} that the policy allows \
                 (queued_jobs; tandem policy show); submit fewer, or wait until some have started"
            )),
            _ => Ok(()),
        }
    }

    /// Bytes that files of its jobs may take.
    pub fn stored_bytes(&self) -> Option<u64> {
        self.stored_gb.map(|gb| (gb * 1e9) as u64)
    }

    /// Whether more may be submitted by whose jobs have so many bytes in the store.
    ///
    /// # Errors
    /// Says what the limit is.
    pub fn may_store(&self, who: &str, stored: u64) -> Result<(), String> {
        match self.stored_bytes() {
            Some(most) if stored > most => Err(format!(
                "files of {who}'s jobs take {:.1} GB, of {} GB that the policy allows (stored_gb; tandem policy show); delete \
                 what is not needed any more, by: tandem delete EXPERIMENT (what takes how much: tandem usage --stored)",
                stored as f64 / 1e9,
                self.stored_gb.unwrap_or_default(),
            )),
            _ => Ok(()),
        }
    }

    /// Whether a job may be asked to train for so long at most.
    ///
    /// # Errors
    /// If that is too little for anything, or more than the policy allows.
    pub fn may_take(&self, asked: Option<Duration>) -> Result<(), String> {
        match (asked, self.max_time) {
            (Some(asked), _) if asked < LEAST_TIME => {
                Err(format!("a maximum time of {}: expected {} or more", span::show(asked), span::show(LEAST_TIME)))
            }
            (Some(asked), Some(most)) if asked > most => Err(format!(
                "a maximum time of {} is more than the {} that the policy allows (max_time; tandem policy show)",
                span::show(asked),
                span::show(most)
            )),
            _ => Ok(()),
        }
    }

    /// How long a job may train: the longest that those who want it ask for, and no longer than the policy in force allows its
    /// owner, whenever it was submitted.
    pub fn longest(&self, asked: Option<Duration>) -> Option<Duration> {
        match (asked, self.max_time) {
            (Some(asked), Some(most)) => Some(asked.min(most)),
            (asked, most) => asked.or(most),
        }
    }

    /// Why a job of `who` that has trained for so long would stop at once, and how it is given more; `None` if it has time left.
    pub fn has_no_time(&self, who: &str, asked: Option<Duration>, trained: Duration) -> Option<String> {
        let longest = self.longest(asked).filter(|longest| trained >= *longest)?;
        let (trained, most) = (span::show(trained), span::show(longest));
        Some(match self.max_time == Some(longest) {
            true => format!(
                "has trained for {trained}, and {most} is all that the policy allows {who} (max_time); an admin can allow more, \
                 to {who} alone by [people.{who}] (tandem policy set)"
            ),
            false => format!("has trained for {trained}, of {most} that it may; more: --max-time TIME"),
        })
    }

    /// Whether a device may be held for `span` where `held` others are.
    ///
    /// # Errors
    /// Says what the limit is.
    pub fn may_hold(&self, who: &str, span: Duration, held: u64) -> Result<(), String> {
        if let Some(most) = self.hold.filter(|most| span > *most) {
            return Err(format!(
                "{} is longer than the {} for which the policy lets {who} hold a device (hold; tandem policy show)",
                span::show(span),
                span::show(most)
            ));
        }
        match self.held_devices {
            Some(most) if held >= u64::from(most) => Err(format!(
                "{who} holds {held} device{} already, of {most} that the policy allows (held_devices; tandem policy show); \
                 give one back first: tandem unhold WORKER",
                if held == 1 { "" } else { "s" }
            )),
            _ => Ok(()),
        }
    }
}

/// A job that trains for less has hardly begun.
const LEAST_TIME: Duration = Duration::from_secs(60);
