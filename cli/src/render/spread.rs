//! Means of several runs with their spread: shares in percent with two digits, as the paper's tables have them.

use tandem_domain::statistics::{Interval, Summary};
use tandem_draw::numbers;

use super::units;

/// `70.83 %`; of what is no share as everywhere.
pub(crate) fn figure(name: &str, value: f64) -> String {
    if numbers::is_share(name) && value.is_finite() {
        format!("{:.2} %", 100.0 * value)
    } else {
        units::figure(name, value)
    }
}

/// `70.83 ± 0.41 %`, or the value alone of one run.
pub(crate) fn mean(name: &str, summary: &Summary) -> String {
    match summary.sd {
        None => figure(name, summary.mean),
        Some(sd) if numbers::is_share(name) => format!("{:.2} ± {:.2} %", 100.0 * summary.mean, 100.0 * sd),
        Some(sd) => format!("{} ± {}", figure(name, summary.mean), figure(name, sd)),
    }
}

/// `69.87 .. 71.78 %`.
pub(crate) fn interval(name: &str, interval: Interval) -> String {
    let Interval { low, high } = interval;
    if numbers::is_share(name) {
        return format!("{:.2} .. {:.2} %", 100.0 * low, 100.0 * high);
    }
    format!("{} .. {}", signed(name, low, false), signed(name, high, false))
}

/// How far one mean is above another: `+2.06 points` of percent, `-12 s`.
pub(crate) fn difference(name: &str, value: f64) -> String {
    if numbers::is_share(name) { format!("{:+.2} points", 100.0 * value) } else { signed(name, value, true) }
}

/// `+0.64 .. +3.48 points`.
pub(crate) fn difference_interval(name: &str, interval: Interval) -> String {
    let Interval { low, high } = interval;
    if numbers::is_share(name) {
        return format!("{:+.2} .. {:+.2} points", 100.0 * low, 100.0 * high);
    }
    format!("{} .. {}", signed(name, low, true), signed(name, high, true))
}

/// Times and sizes have no form of their own below zero.
fn signed(name: &str, value: f64, plus: bool) -> String {
    let sign = if value < 0.0 {
        "-"
    } else if plus {
        "+"
    } else {
        ""
    };
    format!("{sign}{}", units::figure(name, value.abs()))
}

/// Of a test: `0.031`, `<0.0001`.
pub(crate) fn probability(p: f64) -> String {
    if p < 1e-4 { "<0.0001".to_owned() } else { format!("{p:.4}") }
}

#[cfg(test)]
mod tests {
    use tandem_domain::statistics::summary;

    use super::*;

    #[test]
    fn shares_are_in_percent_and_their_differences_in_points() {
        let of = summary(&[0.70, 0.72]).unwrap();
        assert_eq!(mean("test_accuracy", &of), "71.00 ± 1.41 %");
        assert_eq!(mean("loss", &of), "0.7100 ± 0.01414");
        assert_eq!(mean("test_accuracy", &summary(&[0.7083]).unwrap()), "70.83 %");
        let of = Interval { low: -0.0064, high: 0.0348 };
        assert_eq!(interval("test_accuracy", of), "-0.64 .. 3.48 %");
        assert_eq!(difference_interval("test_accuracy", of), "-0.64 .. +3.48 points");
        assert_eq!((difference("seconds", -61.0), difference("labels", 5.0)), ("-1 min 01 s".into(), "+5".into()));
        assert_eq!([0.03125, 1e-9, 1.0].map(probability), ["0.0312", "<0.0001", "1.0000"]);
    }
}
