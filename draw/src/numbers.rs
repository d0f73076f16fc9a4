//! Numbers beside an axis.

/// `50,000`.
#[must_use]
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Whether a metric of this name is a fraction of 1: accuracies, errors, and success rates of attacks.
#[must_use]
pub fn is_share(name: &str) -> bool {
    let ends = ["accuracy", "error", "broken"].iter().any(|end| name.ends_with(end));
    ends || ["accuracy_layer", "misclassified_at", "robust_accuracy_at"].iter().any(|part| name.contains(part))
}

/// No more digits than it needs.
#[must_use]
pub fn tick(value: f64) -> String {
    trimmed(&format!("{value:.3}"))
}

/// On an axis that is so long: neighbours differ.
#[must_use]
pub fn tick_within(value: f64, span: f64) -> String {
    if !(span > 0.0 && span.is_finite()) {
        return tick(value);
    }
    // A tenth of the span is seen.
    let decimals = (1.0 - span.log10().floor()).max(0.0);
    match value {
        0.0 => "0".to_owned(),
        _ if decimals > 5.0 || value.abs() >= 1e7 => scientific(value, span),
        _ => trimmed(&format!("{value:.0$}", decimals as usize)),
    }
}

/// Smallest and largest value with a margin; never empty, so that a single point can be drawn. A share stays one.
#[must_use]
pub fn range(values: impl Iterator<Item = f64>, is_share: bool) -> (f64, f64) {
    let (min, max) =
        values.fold((f64::INFINITY, f64::NEG_INFINITY), |(min, max), value| (min.min(value), max.max(value)));
    let width = max - min;
    let margin = match () {
        () if width > 0.0 => 0.05 * width,
        () if is_share => 0.05,
        () => (0.05 * min.abs()).max(if min == 0.0 { 0.5 } else { f64::MIN_POSITIVE }),
    };
    let (low, high) = (min - margin, max + margin);
    // Values beyond are no shares, whatever their name says: they are shown as they are.
    let holds = is_share && min >= 0.0 && max <= 1.0;
    if holds { (low.max(0.0), high.min(1.0)) } else { (low, high) }
}

/// `2.5e-5`.
fn scientific(value: f64, span: f64) -> String {
    if value.abs() < span / 1e3 {
        return "0".to_owned();
    }
    let digits = (1.0 + (value.abs() / span).log10().floor().max(0.0)).min(12.0) as usize;
    let text = format!("{value:.digits$e}");
    let Some((mantissa, exponent)) = text.split_once('e') else { return text };
    format!("{}e{exponent}", trimmed(mantissa))
}

fn trimmed(text: &str) -> String {
    let short = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text };
    if short == "-0" { "0".to_owned() } else { short.to_owned() }
}

/// Whole seconds: `42 s`, `3 min 05 s`, `2 h 10 min`, `3 d 4 h`.
#[must_use]
pub fn span(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match () {
        () if minutes == 0 => format!("{seconds} s"),
        () if hours == 0 => format!("{minutes} min {:02} s", seconds % 60),
        () if days == 0 => format!("{hours} h {:02} min", minutes % 60),
        () => format!("{days} d {} h", hours % 24),
    }
}

/// A figure in the form that its name implies: shares in percent, times and bytes by the two functions, counts, else four significant
/// digits.
#[must_use]
pub fn figure(name: &str, value: f64, seconds: impl Fn(f64) -> String, bytes: impl Fn(u64) -> String) -> String {
    if !value.is_finite() {
        return value.to_string();
    }
    match name {
        "seconds" => seconds(value),
        _ if is_count(name) && value.fract() == 0.0 && value.abs() < 1e15 => whole(value),
        "images" => count(value.max(0.0).round() as u64),
        _ if is_share(name) => format!("{:.1} %", 100.0 * value),
        _ if name.ends_with("_bytes") => bytes(value.max(0.0).round() as u64),
        _ => significant(value),
    }
}

/// What is counted: steps, labels, the number of an epoch.
fn is_count(name: &str) -> bool {
    ["steps", "labels", "images", "epoch", "epochs", "gate_failed"].iter().any(|end| name.ends_with(end))
}

fn whole(value: f64) -> String {
    let sign = if value < 0.0 { "-" } else { "" };
    format!("{sign}{}", count(value.abs() as u64))
}

fn significant(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        size if !(1e-3..1e5).contains(&size) => format!("{value:.3e}"),
        size => {
            let decimals = (3 - size.log10().floor() as i32).clamp(0, 6) as usize;
            format!("{value:.decimals$}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_short() {
        assert_eq!([4.5, 10.0, 100.0, -1e-9].map(tick), ["4.5", "10", "100", "0"]);
        assert_eq!(count(50_000), "50,000");
        assert_eq!((count(7), count(123), count(1_234_567)), ("7".into(), "123".into(), "1,234,567".into()));
    }

    #[test]
    fn ticks_of_a_short_axis_differ() {
        assert_eq!([5.0, 5.5, 6.0].map(|tick| tick_within(tick, 1.2)), ["5", "5.5", "6"]);
        assert_eq!([1e-5, 1.5e-5, 0.0].map(|tick| tick_within(tick, 2e-5)), ["1e-5", "1.5e-5", "0"]);
        assert_eq!([100.01, 100.02].map(|tick| tick_within(tick, 0.05)), ["100.01", "100.02"]);
        assert_eq!([2e8, 3e8].map(|tick| tick_within(tick, 2e8)), ["2e8", "3e8"]);
        assert_eq!([100.0, 50.0].map(|tick| tick_within(tick, 100.0)), ["100", "50"]);
    }

    #[test]
    fn shares_are_known_by_their_names() {
        assert!(["knn_accuracy", "clean_error", "broken", "knn_accuracy_layer2"].into_iter().all(is_share));
        assert!(!["loss", "lr"].into_iter().any(is_share));
    }
}
