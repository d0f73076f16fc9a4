//! How somebody submits: how often, and how much at a time.

use chrono::{DateTime, TimeDelta, Utc};

/// Submits that are closer together are one.
const APART: TimeDelta = TimeDelta::hours(1);

/// It is taken to go on like that. Who has submitted only once has no habit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Habit {
    /// When it submits next.
    pub next: DateTime<Utc>,
    pub every: TimeDelta,
    /// Seconds of devices at a time.
    pub asks: f64,
}

impl Habit {
    /// From what somebody has submitted, in the order of time, each with its seconds of devices.
    pub fn of(now: DateTime<Utc>, submits: &[(DateTime<Utc>, f64)]) -> Option<Self> {
        let mut together: Vec<(DateTime<Utc>, f64)> = Vec::new();
        for (at, seconds) in submits {
            match together.last_mut() {
                Some((first, sum)) if *at - *first < APART => *sum += seconds,
                _ => together.push((*at, *seconds)),
            }
        }
        let (first, last) = (together.first()?.0, together.last()?.0);
        let times = i32::try_from(together.len() - 1).ok().filter(|times| *times > 0)?;
        let every = (last - first) / times;
        // It is late, or has stopped: the longer nothing has come, the less is expected.
        let every = every.max(now - last);
        let next = (last + every).max(now);
        Some(Self { next, every, asks: together.iter().map(|(_, sum)| sum).sum::<f64>() / f64::from(times + 1) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hours: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::hours(hours)
    }

    #[test]
    fn who_submits_each_morning_does_so_tomorrow() {
        let submits = [(at(8), 100.0), (at(8) + TimeDelta::minutes(5), 50.0), (at(32), 150.0), (at(56), 300.0)];
        let habit = Habit { next: at(80), every: TimeDelta::hours(24), asks: 200.0 };
        assert_eq!(Habit::of(at(60), &submits), Some(habit));
        let late = Habit::of(at(104), &submits).unwrap();
        assert_eq!((late.next, late.every), (at(104), TimeDelta::hours(48)), "a day late: half as often");
    }

    #[test]
    fn once_is_no_habit() {
        assert_eq!(Habit::of(at(60), &[]), None);
        assert_eq!(Habit::of(at(60), &[(at(8), 100.0), (at(8), 100.0)]), None);
    }
}
