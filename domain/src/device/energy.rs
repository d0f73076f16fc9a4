//! The mean power of a card between two looks, by its counter of the energy that it has used.

use std::time::Duration;

use super::reading::WATTS_MAX;

/// From two readings of the counter, in millijoules, this far apart; `None` where they tell nothing: it began anew as the driver was
/// loaded, no time has passed, or no card takes so much.
pub fn mean_watts(before: u64, now: u64, apart: Duration) -> Option<u32> {
    let joules = now.checked_sub(before)? as f64 / 1000.0;
    let watts = (joules / apart.as_secs_f64()).round();
    (watts <= f64::from(WATTS_MAX)).then_some(watts as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn energy_over_time_is_power() {
        let five = Duration::from_secs(5);
        assert_eq!(mean_watts(1_000_000, 2_250_000, five), Some(250));
        assert_eq!(mean_watts(7, 7, five), Some(0));
        assert_eq!(mean_watts(2_250_000, 1_000, five), None, "its driver was loaded anew");
        assert_eq!(mean_watts(0, u64::MAX, five), None);
        assert_eq!((mean_watts(0, 1, Duration::ZERO), mean_watts(0, 0, Duration::ZERO)), (None, None));
    }
}
