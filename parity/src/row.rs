//! One row of the table: a figure, its tolerance, and the verdict.

use serde::{Serialize, Serializer};

#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Unit {
    /// A number as it is.
    Plain,
    /// Steps of a byte: a pixel's 1/255.
    Bytes,
    /// Of 1.
    Percent,
    Times,
    Count,
}

impl Unit {
    pub(crate) fn show(self, value: f64) -> String {
        match self {
            Self::Plain if value == 0.0 => "0".to_owned(),
            Self::Plain if (0.01..1e4).contains(&value.abs()) => format!("{value:.4}"),
            Self::Plain => format!("{value:.1e}"),
            Self::Bytes => format!("{:.2}/255", 255.0 * value),
            Self::Percent => format!("{:.2} %", 100.0 * value),
            Self::Times => format!("{value:.3}x"),
            Self::Count => format!("{value:.0}"),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Bound {
    AtMost(f64),
    AtLeast(f64),
    Above(f64),
}

impl Bound {
    /// Not-a-number is within no bound.
    fn admits(self, value: f64) -> bool {
        match self {
            Self::AtMost(bound) => value <= bound,
            Self::AtLeast(bound) => value >= bound,
            Self::Above(bound) => value > bound,
        }
    }

    pub(crate) fn show(self, unit: Unit) -> String {
        match self {
            Self::AtMost(bound) => format!("<= {}", unit.show(bound)),
            Self::AtLeast(bound) => format!(">= {}", unit.show(bound)),
            Self::Above(bound) => format!("> {}", unit.show(bound)),
        }
    }
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    /// Number of the row in README.md.
    pub(crate) number: u8,
    pub(crate) what: String,
    #[serde(serialize_with = "finite_or_text")]
    pub(crate) figure: f64,
    pub(crate) bound: Bound,
    pub(crate) unit: Unit,
    /// Details about the figure.
    pub(crate) note: String,
}

impl Row {
    pub(crate) fn new(
        number: u8,
        what: impl Into<String>,
        figure: f64,
        bound: Bound,
        unit: Unit,
        note: impl Into<String>,
    ) -> Self {
        Self { number, what: what.into(), figure, bound, unit, note: note.into() }
    }

    pub(crate) fn passes(&self) -> bool {
        self.bound.admits(self.figure)
    }
}

/// JSON has no infinities.
fn finite_or_text<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    if value.is_finite() { serializer.serialize_f64(*value) } else { serializer.serialize_str(&value.to_string()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_that_includes_its_value_differs_from_one_that_does_not() {
        assert!(Bound::AtMost(1e-4).admits(1e-4) && !Bound::AtMost(1e-4).admits(1.1e-4));
        assert!(Bound::AtLeast(0.99).admits(0.99) && !Bound::AtLeast(0.99).admits(0.98));
        assert!(!Bound::Above(1e-3).admits(1e-3));
    }

    #[test]
    fn what_is_no_number_never_passes() {
        for bound in [Bound::AtMost(1.0), Bound::AtLeast(0.0), Bound::Above(0.0)] {
            assert!(!bound.admits(f64::NAN));
        }
        let row = Row::new(1, "", f64::INFINITY, Bound::AtMost(1.0), Unit::Plain, "");
        assert!(!row.passes() && serde_json::to_string(&row).unwrap().contains(r#""figure":"inf""#));
    }
}
