//! What four people with unequal loads submit in a week.

use std::f64::consts::TAU;

use super::WEEK;
use crate::rng::Rng;

/// Who, and how many devices would do what it submits, if it had them all the time. Together it is more than four.
pub const PEOPLE: [(&str, f64); 4] = [("ann", 2.4), ("bob", 1.2), ("cem", 0.6), ("dia", 0.3)];

/// One job of a week.
#[derive(Clone, Debug, PartialEq)]
pub struct Load {
    pub owner: &'static str,
    /// Seconds since the week began.
    pub at: f64,
    pub ranks: u32,
    /// Seconds that it trains.
    pub takes: f64,
    /// What the house expects before it has started.
    pub estimate: f64,
}

/// When people submit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coming {
    /// Each the whole week's work, as the week begins.
    AtOnce,
    /// Each has a day's work for the box, once a day at an hour of its own.
    Daily,
    /// Some at a time, at any moment: nobody can know when the next ones come.
    AtRandom,
}

/// The jobs of a week, in the order of coming. Estimates are wrong by a lognormal factor of `wrong_by`.
pub fn draw(seed: u64, coming: Coming, wrong_by: f64) -> Vec<Load> {
    let mut rng = Rng::new(seed);
    let mut jobs = Vec::new();
    for (hour, (owner, devices)) in (8..).zip(PEOPLE) {
        for (at, count) in batches(&mut rng, coming, hour, devices) {
            for _ in 0..count {
                let ranks = if rng.percent(30) { 2 } else { 1 };
                let takes = (MEDIAN * (0.7 * normal(&mut rng)).exp()).clamp(120.0, 6.0 * 3600.0);
                let estimate = takes * (wrong_by * normal(&mut rng)).exp();
                jobs.push(Load { owner, at, ranks, takes, estimate });
            }
        }
    }
    jobs.sort_by(|a, b| a.at.total_cmp(&b.at));
    jobs
}

/// When somebody submits, and how many jobs.
fn batches(rng: &mut Rng, coming: Coming, hour: u32, devices: f64) -> Vec<(f64, u64)> {
    match coming {
        Coming::AtOnce => vec![(0.0, (devices * WEEK / MEAN_DEVICE_SECONDS).round() as u64)],
        Coming::Daily => {
            let count = (devices * 86_400.0 / MEAN_DEVICE_SECONDS).round() as u64;
            (0..7).map(|day| (f64::from(day) * 86_400.0 + f64::from(hour - 8) * 3600.0, count)).collect()
        }
        Coming::AtRandom => {
            // A lighter user submits less often, not smaller jobs.
            let gap = MEAN_BATCH * MEAN_DEVICE_SECONDS / devices;
            let mut batches = Vec::new();
            let mut at = -uniform(rng).ln() * gap;
            while at < WEEK {
                batches.push((at, rng.between(1, 2 * MEAN_BATCH as u64 - 1)));
                at += -uniform(rng).ln() * gap;
            }
            batches
        }
    }
}

const MEAN_BATCH: f64 = 6.0;
/// Of a job's seconds: forty minutes.
const MEDIAN: f64 = 2400.0;
const MEAN_DEVICE_SECONDS: f64 = MEDIAN * 1.28 * 1.3;

fn uniform(rng: &mut Rng) -> f64 {
    (rng.between(1, 1 << 53) as f64) / (1u64 << 53) as f64
}

fn normal(rng: &mut Rng) -> f64 {
    (-2.0 * uniform(rng).ln()).sqrt() * (TAU * uniform(rng)).cos()
}
