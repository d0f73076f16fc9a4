//! How a week went.

use std::collections::BTreeMap;

use super::WEEK;

/// How long a job still waited when somebody asked, and how long it was expected to; seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Wait {
    pub owner: &'static str,
    pub asked: f64,
    pub expected: f64,
    pub waited: f64,
}

#[derive(Clone, Debug, Default)]
pub struct Figures {
    /// Seconds of devices that each person had, and that it asked for.
    pub had: BTreeMap<&'static str, f64>,
    pub asked: BTreeMap<&'static str, f64>,
    pub waits: Vec<Wait>,
    pub ended: u32,
    /// Gangs that were stopped, as they had passed somebody and had not ended in time.
    pub stops: u32,
    /// Decisions at which the first in line could have started but for one that had passed it and stayed.
    pub delayed_by_passing: u32,
    busy: f64,
    /// Of it, while a job waited; and that time.
    busy_while_waiting: f64,
    waiting: f64,
}

impl Figures {
    pub(super) fn pass(&mut self, span: f64, busy: f64, somebody_waits: bool) {
        self.busy += span * busy;
        if somebody_waits {
            self.waiting += span;
            self.busy_while_waiting += span * busy;
        }
    }

    pub(super) fn used(&mut self, who: &'static str, seconds: f64) {
        *self.had.entry(who).or_default() += seconds;
    }

    pub(super) fn asked(&mut self, who: &'static str, seconds: f64) {
        *self.asked.entry(who).or_default() += seconds;
    }

    /// Of four devices, over the week.
    pub fn utilization(&self) -> f64 {
        self.busy / (4.0 * WEEK)
    }

    /// Of four devices, while a job waited that fits them.
    pub fn utilization_while_waiting(&self) -> f64 {
        self.busy_while_waiting / (4.0 * self.waiting)
    }

    /// How far each person's time is from its max-min share of what was had in all, as a ratio.
    pub fn off_share(&self) -> BTreeMap<&'static str, f64> {
        let shares = max_min(&self.asked, self.had.values().sum());
        shares.into_iter().map(|(who, share)| (who, self.had.get(who).copied().unwrap_or(0.0) / share)).collect()
    }

    /// The median of |expected - waited| / waited, of the waits that took longer than `least` seconds.
    pub fn median_error(&self, least: f64) -> f64 {
        let long = self.waits.iter().filter(|wait| wait.waited > least);
        let mut errors: Vec<f64> = long.map(|wait| (wait.expected - wait.waited).abs() / wait.waited).collect();
        errors.sort_by(f64::total_cmp);
        errors.get(errors.len() / 2).copied().unwrap_or(f64::NAN)
    }
}

/// Each one's max-min share of `all`: nobody gets more than it asks, and what is left goes to the others in equal parts.
pub fn max_min(asked: &BTreeMap<&'static str, f64>, all: f64) -> BTreeMap<&'static str, f64> {
    let mut by_size: Vec<_> = asked.iter().collect();
    by_size.sort_by(|(_, a), (_, b)| a.total_cmp(b));
    let (mut left, mut people) = (all, by_size.len() as f64);
    let mut shares = BTreeMap::new();
    for (who, asked) in by_size {
        let share = asked.min(left / people);
        shares.insert(*who, share);
        left -= share;
        people -= 1.0;
    }
    shares
}
