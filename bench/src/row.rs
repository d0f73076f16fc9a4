//! One row of the table: what was measured, its goal, and whether the figure counts.

use serde::Serialize;

use crate::stats::Summary;

#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Unit {
    /// Our speed as a multiple of the other side's.
    Times,
    Seconds,
    Milliseconds,
    Microseconds,
    /// Of one core.
    Percent,
    /// Millions of bytes.
    Megabytes,
    Count,
}

impl Unit {
    pub(crate) fn show(self, value: f64) -> String {
        match self {
            Self::Times if value < 4.0 => format!("{value:.3}x"),
            Self::Times => format!("{value:.1}x"),
            Self::Seconds => format!("{value:.2} s"),
            Self::Milliseconds => format!("{value:.0} ms"),
            Self::Microseconds => format!("{value:.1} us"),
            Self::Percent => format!("{value:.2} %"),
            Self::Megabytes => format!("{value:.1} MB"),
            Self::Count => format!("{value:.0}"),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Goal {
    AtLeast(f64),
    AtMost(f64),
    Below(f64),
}

impl Goal {
    fn is_met_by(self, value: f64) -> bool {
        match self {
            Self::AtLeast(bound) => value >= bound,
            Self::AtMost(bound) => value <= bound,
            Self::Below(bound) => value < bound,
        }
    }

    pub(crate) fn show(self, unit: Unit) -> String {
        match self {
            Self::AtLeast(bound) => format!(">= {}", unit.show(bound)),
            Self::AtMost(bound) => format!("<= {}", unit.show(bound)),
            Self::Below(bound) => format!("< {}", unit.show(bound)),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    Met,
    Missed,
    /// The two sides did not compute the same, so the ratio says nothing.
    Void,
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    /// "step/resnet18"
    pub(crate) name: String,
    pub(crate) what: String,
    pub(crate) goal: Goal,
    pub(crate) unit: Unit,
    pub(crate) value: Summary,
    /// Why the figure does not count: a check of equal results failed.
    pub(crate) void: Option<String>,
    /// The figures behind the ratio, for people.
    pub(crate) note: String,
    /// Everything that was measured, for the JSON document.
    pub(crate) raw: serde_json::Value,
}

impl Row {
    /// By the median.
    pub(crate) fn verdict(&self) -> Verdict {
        match self.void {
            Some(_) => Verdict::Void,
            None if self.goal.is_met_by(self.value.median) => Verdict::Met,
            None => Verdict::Missed,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn row(goal: Goal, median: f64, void: Option<String>) -> Row {
        let value = Summary::of(&[median]).unwrap();
        let (name, what, note) = Default::default();
        Row { name, what, goal, unit: Unit::Times, value, void, note, raw: Value::Null }
    }

    #[test]
    fn a_bound_that_includes_its_value_differs_from_one_that_does_not() {
        assert_eq!(row(Goal::AtLeast(0.97), 0.97, None).verdict(), Verdict::Met);
        assert_eq!(row(Goal::AtMost(3.0), 3.01, None).verdict(), Verdict::Missed);
        assert_eq!(row(Goal::Below(1.0), 1.0, None).verdict(), Verdict::Missed);
    }

    #[test]
    fn speed_without_equal_results_is_void() {
        assert_eq!(row(Goal::AtLeast(0.97), 5.0, Some("losses differ".into())).verdict(), Verdict::Void);
    }
}
