//! The difference of two means whose variances need not be equal (Welch 1947).

use serde::Serialize;

use super::sample::{Interval, Summary, around};

/// How far one mean is above another.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Difference {
    pub mean: f64,
    /// Confidence interval by Student's t with the degrees of freedom of Welch and Satterthwaite; `None` where one of the two is
    /// a single value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<Interval>,
    /// Those degrees of freedom; `None` where there is no interval, or nothing is scattered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub degrees: Option<f64>,
}

/// `other` less `first`.
pub fn difference(first: &Summary, other: &Summary) -> Difference {
    let mean = other.mean - first.mean;
    let none = Difference { mean, interval: None, degrees: None };
    let (Some(a), Some(b)) = (first.sd, other.sd) else { return none };
    let (m, n) = (first.n as f64, other.n as f64);
    let (a, b) = (a * a / m, b * b / n);
    let degrees = (a + b).powi(2) / (a * a / (m - 1.0) + b * b / (n - 1.0));
    let degrees = Some(degrees).filter(|degrees| degrees.is_finite());
    Difference { mean, interval: around(mean, (a + b).sqrt(), degrees.unwrap_or(m + n - 2.0)), degrees }
}
