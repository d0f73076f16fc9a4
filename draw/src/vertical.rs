//! The vertical axis: linear, or by powers of ten.

use std::ops::Range;

use plotters::coord::{
    ranged1d::{DefaultFormatting, KeyPointHint, Ranged},
    types::RangedCoordf64,
};

use super::numbers;

/// Most labels beside an axis.
const MOST_LABELS: usize = 7;

/// What is drawn are heights on this axis: values, or the logarithms of these.
#[derive(Clone)]
pub(crate) struct Vertical {
    low: f64,
    high: f64,
    is_log: bool,
    linear: RangedCoordf64,
}

impl Vertical {
    /// From the lowest to the highest value, both finite, `low` below `high`, and above zero if `is_log`.
    pub(crate) fn new((low, high): (f64, f64), is_log: bool) -> Self {
        let height = |value: f64| if is_log { value.log10() } else { value };
        let (low, high) = (height(low), height(high));
        Self { low, high, is_log, linear: (low..high).into() }
    }

    /// `None` where the axis has no place for it.
    pub(crate) fn height(&self, value: f64) -> Option<f64> {
        let height = if self.is_log { value.log10() } else { value };
        height.is_finite().then_some(height)
    }

    pub(crate) fn low(&self) -> f64 {
        self.low
    }

    pub(crate) fn high(&self) -> f64 {
        self.high
    }

    /// The nearest height that is on the axis.
    pub(crate) fn within(&self, height: f64) -> f64 {
        height.clamp(self.low, self.high)
    }

    /// What stands beside a height; `is_share`: in percent.
    pub(crate) fn label(&self, height: f64, is_share: bool) -> String {
        let (value, span) = if self.is_log {
            let value = 10_f64.powf(height);
            (value, value.min(10_f64.powf(self.high) - 10_f64.powf(self.low)))
        } else {
            (height, self.high - self.low)
        };
        if is_share { percent(value, span) } else { numbers::tick_within(value, span) }
    }

    fn powers(&self, most: usize) -> Vec<f64> {
        let inside = |heights: Vec<f64>| -> Vec<f64> {
            heights.into_iter().filter(|height| (self.low..=self.high).contains(height)).collect()
        };
        let decades = (self.low.floor() as i32..=self.high.ceil() as i32).map(f64::from);
        let parts = |of: &[f64]| {
            inside(decades.clone().flat_map(|ten| of.iter().map(move |part| ten + part.log10())).collect())
        };
        // The finest that fits.
        let finest =
            [&[1.0, 2.0, 5.0][..], &[1.0, 3.0], &[1.0]].into_iter().map(parts).find(|ticks| ticks.len() <= most);
        let ticks = finest.unwrap_or_else(|| {
            let tens = inside(decades.clone().collect());
            let step = tens.len().div_ceil(most.max(1));
            tens.into_iter().step_by(step).collect()
        });
        if ticks.len() > 1 {
            return ticks;
        }
        // Less than a power of ten: as on a linear axis.
        let (low, high) = (10_f64.powf(self.low), 10_f64.powf(self.high));
        RangedCoordf64::from(low..high).key_points(most).into_iter().map(f64::log10).collect()
    }
}

impl Ranged for Vertical {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        self.linear.map(value, limit)
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        if self.is_log { self.powers(hint.max_num_points().min(MOST_LABELS)) } else { self.linear.key_points(hint) }
    }

    fn range(&self) -> Range<f64> {
        self.low..self.high
    }
}

fn percent(value: f64, span: f64) -> String {
    let decimals = if span < 0.06 { 1 } else { 0 };
    format!("{:.decimals$} %", 100.0 * value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(low: f64, high: f64) -> Vec<String> {
        let axis = Vertical::new((low, high), true);
        axis.key_points(7).into_iter().map(|height| axis.label(height, false)).collect()
    }

    #[test]
    fn ticks_of_powers() {
        assert_eq!(labels(0.8, 120.0), ["1", "2", "5", "10", "20", "50", "100"]);
        assert_eq!(labels(4.1, 52.0), ["5", "10", "20", "50"]);
        assert_eq!(labels(1e-9, 2.0), ["1e-9", "1e-7", "1e-5", "0.001", "0.1"]);
        let short = labels(4.1, 4.9);
        assert!(short.len() > 2 && short.contains(&"4.4".to_owned()), "{short:?}");
    }

    #[test]
    fn what_is_not_above_zero_has_no_place_among_powers() {
        let axis = Vertical::new((0.1, 10.0), true);
        assert_eq!([axis.height(1.0), axis.height(0.0), axis.height(-1.0)], [Some(0.0), None, None]);
        assert_eq!(Vertical::new((-1.0, 1.0), false).height(-1.0), Some(-1.0));
        assert_eq!(Vertical::new((0.0, 0.05), false).label(0.025, true), "2.5 %");
    }
}
