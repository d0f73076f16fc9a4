//! How many images a second a stage processes. Time is an argument.

use std::time::{Duration, Instant};

/// Reports for people come no more often than this.
const REPORT_EVERY: Duration = Duration::from_millis(250);
/// Weight of the newest interval in the smoothed rate.
const NEWEST: f64 = 0.3;

/// Images per second, smoothed over reports.
#[derive(Debug)]
pub(super) struct Throughput {
    began: Instant,
    /// Of earlier attempts, up to the checkpoint that this one began from.
    seconds_before: f64,
    images: u64,
    reported_at: Instant,
    reported_images: u64,
    rate: Option<f64>,
}

impl Throughput {
    pub(super) fn new(now: Instant, seconds_before: f64) -> Self {
        Self { began: now, seconds_before, images: 0, reported_at: now, reported_images: 0, rate: None }
    }

    /// Counts images. Returns the smoothed rate if it is time for a report, or if `at_once`.
    pub(super) fn advance(&mut self, now: Instant, images: u64, at_once: bool) -> Option<f64> {
        self.images += images;
        let interval = now - self.reported_at;
        if interval.is_zero() || (interval < REPORT_EVERY && !at_once) {
            return None;
        }
        let newest = (self.images - self.reported_images) as f64 / interval.as_secs_f64();
        let rate = self.rate.map_or(newest, |rate| rate + NEWEST * (newest - rate));
        (self.reported_at, self.reported_images, self.rate) = (now, self.images, Some(rate));
        self.rate
    }

    /// Over all attempts.
    pub(super) fn seconds(&self, now: Instant) -> f64 {
        self.seconds_before + (now - self.began).as_secs_f64()
    }

    /// Images a second in this attempt; 0 before any time has passed.
    pub(super) fn mean(&self, now: Instant) -> f64 {
        let seconds = (now - self.began).as_secs_f64();
        if seconds > 0.0 { self.images as f64 / seconds } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_are_rare_and_rates_smooth() {
        let began = Instant::now();
        let after = |ms| began + Duration::from_millis(ms);
        let mut throughput = Throughput::new(began, 0.0);
        assert_eq!(throughput.advance(after(100), 10, false), None);
        assert_eq!(throughput.advance(after(300), 20, false), Some(100.0), "30 images in 0.3 s");
        assert_eq!(throughput.advance(after(400), 20, false), None);
        assert_eq!(throughput.advance(after(400), 0, true), Some(100.0 + 0.3 * (200.0 - 100.0)));
        assert_eq!(throughput.mean(after(500)), 100.0);
    }
}
