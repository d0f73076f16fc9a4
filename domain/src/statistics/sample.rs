//! Mean, standard deviation and confidence interval of a few runs.

use serde::Serialize;
use statrs::distribution::{ContinuousCDF, StudentsT};

/// How sure intervals are.
pub const CONFIDENCE: f64 = 0.95;

/// From where to where.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Interval {
    pub low: f64,
    pub high: f64,
}

/// What some values have in common.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// How many values there are.
    pub n: usize,
    pub mean: f64,
    /// Standard deviation of the sample (n - 1); `None` of one value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sd: Option<f64>,
    /// Confidence interval of the mean by Student's t with n - 1 degrees of freedom; `None` of one value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<Interval>,
}

/// Of all values; `None` if there are none, or one is not finite.
pub fn summary(values: &[f64]) -> Option<Summary> {
    if values.is_empty() || values.iter().any(|value| !value.is_finite()) {
        return None;
    }
    let n = values.len();
    let count = n as f64;
    let mean = values.iter().map(|value| value / count).sum::<f64>();
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    let sd = (n > 1).then(|| (squares / (count - 1.0)).sqrt());
    let interval = sd.and_then(|sd| around(mean, sd / count.sqrt(), count - 1.0));
    Some(Summary { n, mean, sd, interval })
}

/// The confidence interval of an estimate with this standard error; `None` where there is no such distribution.
pub(super) fn around(estimate: f64, error: f64, degrees: f64) -> Option<Interval> {
    // Equal values leave no doubt, and no distribution to ask.
    let half = if error == 0.0 { 0.0 } else { error * quantile(degrees)? };
    half.is_finite().then_some(Interval { low: estimate - half, high: estimate + half })
}

/// Beyond which Student's t lies with half of what is not covered, to either side.
fn quantile(degrees: f64) -> Option<f64> {
    let distribution = StudentsT::new(0.0, 1.0, degrees).ok()?;
    Some(distribution.inverse_cdf(1.0 - (1.0 - CONFIDENCE) / 2.0))
}
