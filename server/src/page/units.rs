//! Times, sizes and figures as people read them.

use chrono::{DateTime, TimeDelta, Utc};
pub(super) use tandem_domain::datasets::size as bytes;
use tandem_draw::numbers;

/// `42 s`, `3 min 05 s`, `2 h 10 min`, `3 d 4 h`.
pub(super) fn duration(seconds: f64) -> String {
    if !seconds.is_finite() || seconds < 0.0 {
        return "–".to_owned();
    }
    numbers::span(seconds.round() as u64)
}

/// To the minute where it is longer: a page that is drawn anew every two seconds is not to flicker.
pub(super) fn coarse(seconds: f64) -> String {
    if seconds.is_finite() && (60.0..3600.0).contains(&seconds) {
        return format!("{:.0} min", (seconds / 60.0).ceil());
    }
    if seconds.is_finite() && (5.0..60.0).contains(&seconds) {
        return format!("{:.0} s", (seconds / 5.0).ceil() * 5.0);
    }
    duration(seconds)
}

/// How long ago, more coarsely than the command line has it, which draws once: `now`, `3 min`, `2 h`, `5 d`.
pub(super) fn age(at: DateTime<Utc>, now: DateTime<Utc>) -> String {
    match (now - at).max(TimeDelta::zero()).num_seconds() {
        0..10 => "now".to_owned(),
        seconds @ 10..60 => format!("{} s", seconds / 10 * 10),
        seconds @ 60..3600 => format!("{} min", seconds / 60),
        seconds @ 3600..86_400 => format!("{} h", seconds / 3600),
        seconds => format!("{} d", seconds / 86_400),
    }
}

/// All times are in UTC, as those in reasons and events are.
pub(super) fn moment(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M UTC").to_string()
}

pub(super) fn exact(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%S").to_string()
}

/// A figure in the form that its name implies.
pub(super) fn figure(name: &str, value: f64) -> String {
    numbers::figure(name, value, duration, bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_at_a_glance() {
        assert_eq!(
            [3.0, 185.0, 7800.0, 273_600.0, -1.0].map(duration),
            ["3 s", "3 min 05 s", "2 h 10 min", "3 d 4 h", "–"]
        );
        assert_eq!([3.0, 21.0, 61.0, 3599.0].map(coarse), ["3 s", "25 s", "2 min", "60 min"]);
        let at = |seconds| age(DateTime::UNIX_EPOCH, DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds));
        assert_eq!([-5, 9, 34, 120, 7300, 200_000].map(at), ["now", "now", "30 s", "2 min", "2 h", "2 d"]);
    }

    #[test]
    fn figures_go_by_their_names() {
        assert_eq!(figure("knn_accuracy", 0.5), "50.0 %");
        assert_eq!((figure("loss", 1.23456), figure("loss", 0.0)), ("1.235".into(), "0".into()));
        assert_eq!((figure("lr", 3e-5), figure("loss", f64::NAN)), ("3.000e-5".into(), "NaN".into()));
    }
}
