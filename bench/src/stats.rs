//! Median and spread of a few measurements.

use serde::Serialize;

/// Median and quartiles by linear interpolation between order statistics (Hyndman and Fan's type 7, numpy's default).
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Summary {
    pub(crate) median: f64,
    pub(crate) first_quartile: f64,
    pub(crate) third_quartile: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
    pub(crate) count: usize,
}

impl Summary {
    /// `None` for no values, or if one is not a number.
    pub(crate) fn of(values: &[f64]) -> Option<Self> {
        let mut sorted = values.to_vec();
        if sorted.is_empty() || sorted.iter().any(|value| value.is_nan()) {
            return None;
        }
        sorted.sort_by(f64::total_cmp);
        Some(Self {
            median: quantile(&sorted, 0.5),
            first_quartile: quantile(&sorted, 0.25),
            third_quartile: quantile(&sorted, 0.75),
            min: sorted[0],
            max: sorted[sorted.len() - 1],
            count: sorted.len(),
        })
    }
}

/// The value below which the share `q` of all values lies, by the same rule; `None` for no values.
pub(crate) fn quantile_of(values: &[f64], q: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    (!sorted.is_empty()).then(|| quantile(&sorted, q))
}

fn quantile(sorted: &[f64], q: f64) -> f64 {
    let position = q * (sorted.len() - 1) as f64;
    let (low, high) = (sorted[position.floor() as usize], sorted[position.ceil() as usize]);
    low + (high - low) * position.fract()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quartiles_are_numpys() {
        let summary = Summary::of(&[7.0, 1.0, 3.0, 4.0]).unwrap();
        // numpy.quantile([1, 3, 4, 7], [0.25, 0.5, 0.75])
        assert_eq!((summary.first_quartile, summary.median, summary.third_quartile), (2.5, 3.5, 4.75));
        assert_eq!((summary.min, summary.max, summary.count), (1.0, 7.0, 4));
    }

    #[test]
    fn a_quantile_needs_values_in_no_order() {
        let values: Vec<f64> = (0..=100).rev().map(f64::from).collect();
        assert_eq!((quantile_of(&values, 0.99), quantile_of(&values, 1.0)), (Some(99.0), Some(100.0)));
        assert_eq!(quantile_of(&[], 0.5), None);
    }

    #[test]
    fn no_values_and_not_a_number_have_no_summary() {
        assert_eq!(Summary::of(&[]), None);
        assert_eq!(Summary::of(&[1.0, f64::NAN]), None);
    }
}
