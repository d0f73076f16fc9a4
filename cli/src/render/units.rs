//! Numbers, times and ids as people read them.

use chrono::{DateTime, TimeDelta, Utc};

/// `42 s`, `3 min 05 s`, `2 h 10 min`, `3 d 4 h`.
pub(crate) fn duration(seconds: f64) -> String {
    if !seconds.is_finite() || seconds < 0.0 {
        return "-".to_owned();
    }
    if seconds < 9.95 {
        return format!("{seconds:.1} s");
    }
    numbers::span(seconds.round() as u64)
}

/// How long ago, coarsely: `now`, `42 s`, `3 min`, `2 h`, `5 d`.
pub(crate) fn age(at: DateTime<Utc>, now: DateTime<Utc>) -> String {
    let seconds = (now - at).max(TimeDelta::zero()).num_seconds();
    match seconds {
        0 => "now".to_owned(),
        1..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..86_400 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// To the second. All times are in UTC, as those in the coordinator's reasons are, and say so.
pub(crate) fn moment(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// To the millisecond: for events, whose distances matter.
pub(crate) fn precise_moment(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%S%.3f UTC").to_string()
}

pub(crate) use tandem_domain::datasets::size as bytes;

use tandem_draw::numbers;
pub(crate) use tandem_draw::numbers::count;

/// `850`, `1.2 k`, `11.5 M`, `3.4 G`.
pub(crate) fn magnitude(number: f64) -> String {
    const UNITS: [&str; 4] = ["k", "M", "G", "T"];
    if number < 999.5 {
        return format!("{number:.0}");
    }
    let mut value = number / 1000.0;
    let mut unit = 0;
    while value >= 999.95 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

/// A figure in the form that its name implies.
pub(crate) fn figure(name: &str, value: f64) -> String {
    numbers::figure(name, value, duration, bytes)
}

/// Shortest length, at least 8, at which all `ids` differ.
pub(crate) fn id_length<'a>(ids: impl IntoIterator<Item = &'a str>) -> usize {
    let mut ids: Vec<&str> = ids.into_iter().collect();
    ids.sort_unstable();
    ids.dedup();
    // Sorted, so the closest relatives are neighbours.
    let shared = ids.windows(2).map(|pair| pair[0].bytes().zip(pair[1].bytes()).take_while(|(a, b)| a == b).count());
    shared.max().unwrap_or(0).max(7) + 1
}

/// The first characters of an id: the coordinator accepts them if no other id begins so.
pub(crate) fn short_id(id: &str, length: usize) -> &str {
    id.get(..length).unwrap_or(id).trim_end_matches('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        let cases = [(0.04, "0.0 s"), (9.94, "9.9 s"), (9.96, "10 s"), (59.4, "59 s"), (59.6, "1 min 00 s")];
        for (seconds, text) in cases {
            assert_eq!(duration(seconds), text);
        }
        assert_eq!(duration(185.0), "3 min 05 s");
        assert_eq!(duration(7800.0), "2 h 10 min");
        assert_eq!(duration(3.0 * 86_400.0 + 4.0 * 3600.0), "3 d 4 h");
        assert_eq!(duration(f64::NAN), "-");
        assert_eq!(duration(-1.0), "-");
    }

    #[test]
    fn times_say_their_zone() {
        assert_eq!(moment(DateTime::UNIX_EPOCH), "1970-01-01 00:00:00 UTC");
        assert_eq!(precise_moment(DateTime::UNIX_EPOCH), "1970-01-01 00:00:00.000 UTC");
    }

    #[test]
    fn ages_never_run_backwards() {
        let now = DateTime::UNIX_EPOCH + TimeDelta::days(10);
        let ago = |delta: TimeDelta| age(now - delta, now);
        assert_eq!(ago(TimeDelta::seconds(-5)), "now");
        assert_eq!(ago(TimeDelta::seconds(59)), "59 s");
        assert_eq!(ago(TimeDelta::seconds(60)), "1 min");
        assert_eq!(ago(TimeDelta::hours(23)), "23 h");
        assert_eq!(ago(TimeDelta::days(3)), "3 d");
    }

    #[test]
    fn sizes_and_counts() {
        assert_eq!(bytes(1023), "1023 B");
        assert_eq!(bytes(1536), "1.5 KiB");
        assert_eq!(bytes((1 << 20) - 1), "1.0 MiB");
        assert_eq!(bytes(2 << 30), "2.0 GiB");
        assert_eq!(count(999), "999");
        assert_eq!(count(50_000), "50,000");
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(magnitude(850.0), "850");
        assert_eq!(magnitude(999.7), "1.0 k");
        assert_eq!(magnitude(11.5e6), "11.5 M");
    }

    #[test]
    fn figures_take_their_form_from_their_name() {
        assert_eq!(figure("linear_accuracy", 0.6234), "62.3 %");
        assert_eq!(figure("knn_accuracy_layer2", 0.25), "25.0 %");
        assert_eq!(figure("clean_error", 0.306), "30.6 %");
        assert_eq!(figure("misclassified_at_0.25", 0.5), "50.0 %");
        assert_eq!(figure("robust_accuracy_at_0.25", 0.5), "50.0 %");
        assert_eq!(figure("peak_memory_bytes", 1536.0), "1.5 KiB");
        assert_eq!(figure("loss", 4.123_456), "4.123");
        assert_eq!(figure("loss", 0.012_345_6), "0.01235");
        assert_eq!(figure("uniformity", -2.5), "-2.500");
        assert_eq!(figure("lr", 1e-6), "1.000e-6");
        assert_eq!(figure("loss", f64::NAN), "NaN");
        assert_eq!(figure("images", 50_000.0), "50,000");
        assert_eq!(figure("seconds", 61.0), "1 min 01 s");
    }

    #[test]
    fn as_short_as_can_be_told_apart() {
        let ids = ["0199a1b2-c3d4-7aaa-8000-000000000001", "0199a1b2-c3d4-7aab-8000-000000000001", "7f"];
        let length = id_length(ids);
        assert_eq!(short_id(ids[0], length), "0199a1b2-c3d4-7aaa");
        assert_eq!(short_id(ids[1], length), "0199a1b2-c3d4-7aab");
        assert_eq!(short_id(ids[2], length), "7f");
        assert_eq!(id_length([ids[0], ids[0]]), 8);
        assert_eq!(short_id(ids[0], 9), "0199a1b2");
    }
}
