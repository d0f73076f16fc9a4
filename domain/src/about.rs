//! How an expected moment is told to people.

use chrono::{DateTime, TimeDelta, Utc};

const STEP: i64 = 300;

/// To five minutes, as what looks exact would be believed; with its day where that is not plain.
pub fn about(at: DateTime<Utc>, now: DateTime<Utc>) -> String {
    let rounded = at + TimeDelta::seconds(STEP - 1 - (at.timestamp() + STEP - 1).rem_euclid(STEP));
    let form = if rounded - now > TimeDelta::hours(20) { "%b %-d, %H:%M UTC" } else { "%H:%M UTC" };
    rounded.format(form).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_told_to_five_minutes_and_with_its_day_if_it_is_far() {
        let now: DateTime<Utc> = "2026-11-30T17:01:00Z".parse().unwrap();
        let after = |seconds| about(now + TimeDelta::seconds(seconds), now);
        assert_eq!(after(0), "17:05 UTC");
        assert_eq!([after(239), after(240), after(241)], ["17:05 UTC", "17:05 UTC", "17:10 UTC"]);
        assert_eq!(after(20 * 3600 - 60), "13:00 UTC");
        assert_eq!(after(3 * 86_400), "Dec 3, 17:05 UTC");
    }
}
