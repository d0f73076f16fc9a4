//! Curves with fewer points.

use tandem_domain::keeping::thin;

use crate::store::points::Curve;

/// How many points, and which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Thin {
    No,
    /// At most so many.
    Means(usize),
    Extremes(usize),
    /// So many points from this step on, as they were measured.
    Stretch {
        from: i64,
        most: usize,
    },
}

impl Thin {
    pub(crate) fn new(points: u32, extremes: bool) -> Self {
        match points as usize {
            0 => Self::No,
            points if extremes => Self::Extremes(points.max(thin::FEWEST)),
            points => Self::Means(points),
        }
    }

    /// The first step that is wanted.
    pub(crate) fn from(self) -> i64 {
        match self {
            Self::Stretch { from, .. } => from,
            Self::No | Self::Means(_) | Self::Extremes(_) => 0,
        }
    }

    pub(crate) fn of(self, curve: Curve) -> Curve {
        match self {
            Self::No => curve,
            Self::Means(most) => means(curve, most),
            Self::Extremes(most) => extremes(curve, most),
            Self::Stretch { from, most } => stretch(curve, from, most),
        }
    }
}

fn stretch(mut curve: Curve, from: i64, most: usize) -> Curve {
    let first = curve.steps.partition_point(|step| *step < from);
    (curve.steps, curve.values) = (curve.steps.split_off(first), curve.values.split_off(first));
    curve.steps.truncate(most);
    curve.values.truncate(most);
    curve
}

/// Neighbours are averaged, each group at its last step. The newest point stays as it is: people look at it.
fn means(curve: Curve, most: usize) -> Curve {
    let count = curve.values.len();
    if count <= most {
        return curve;
    }
    let (Some(last), before) = (curve.steps.last(), count - 1) else { return curve };
    let (mut steps, mut values) = (Vec::with_capacity(most), Vec::with_capacity(most));
    let groups = most - 1;
    for group in 0..groups {
        let (from, to) = (group * before / groups, (group + 1) * before / groups);
        let finite = curve.values[from..to].iter().filter(|value| value.is_finite());
        let n = finite.clone().count() as f64;
        steps.push(curve.steps[to - 1]);
        // Divided one by one: a sum might not be finite. Without a finite value the group is as it was measured.
        values.push(if n > 0.0 { finite.map(|value| value / n).sum() } else { curve.values[to - 1] });
    }
    steps.push(*last);
    values.extend(curve.values.last());
    Curve { steps, values, ..curve }
}

/// The smallest and the largest of each group of neighbours, in the order of their steps, between the first and the last point.
fn extremes(curve: Curve, most: usize) -> Curve {
    let kept = thin::extremes(&curve.values, most);
    Curve {
        steps: kept.iter().map(|place| curve.steps[*place]).collect(),
        values: kept.iter().map(|place| curve.values[*place]).collect(),
        ..curve
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn curve(values: Vec<f64>) -> Curve {
        let steps = (0..).take(values.len()).collect();
        Curve { job: Uuid::nil(), name: "loss".to_owned(), steps, values }
    }

    #[test]
    fn a_long_curve_keeps_its_course_and_its_newest_point() {
        let long = means(curve((0..10_001).map(f64::from).collect()), 11);
        assert_eq!(long.steps, [999, 1999, 2999, 3999, 4999, 5999, 6999, 7999, 8999, 9999, 10_000]);
        assert_eq!((long.values[0], long.values[10]), (499.5, 10_000.0));
        assert_eq!(means(curve(vec![1.0, 2.0]), 2).values, [1.0, 2.0]);
        assert_eq!(means(curve(vec![1.0, 2.0, 3.0]), 1).values, [3.0]);
        let gap = means(curve(vec![f64::NAN, 1.0, f64::INFINITY, f64::NAN, 5.0]), 3).values;
        assert!(gap[0] == 1.0 && !gap[1].is_finite() && gap[2] == 5.0, "{gap:?}");
    }

    #[test]
    fn no_extreme_is_lost() {
        let mut values: Vec<f64> = (0..100_000).map(|step| f64::from(step % 7)).collect();
        (values[54_321], values[12_345], values[77_777]) = (1000.0, -1000.0, f64::NAN);
        for most in [4, 5, 10, 1000] {
            let thin = Thin::new(most, true).of(curve(values.clone()));
            assert!(thin.values.len() <= most as usize, "{most}: {}", thin.values.len());
            assert!(thin.steps.is_sorted_by(|a, b| a < b), "{:?}", thin.steps);
            assert_eq!((thin.steps[0], thin.steps.last()), (0, Some(&99_999)));
            for (step, value) in [(54_321, 1000.0), (12_345, -1000.0)] {
                let place = thin.steps.iter().position(|other| *other == step).unwrap();
                assert_eq!(thin.values[place], value, "at its own step");
            }
        }
        assert_eq!(Thin::new(1, true).of(curve(vec![3.0, 1.0, 2.0, 9.0, 5.0])).values, [3.0, 1.0, 9.0, 5.0]);
        let lost = extremes(curve(vec![1.0, f64::NAN, f64::NAN, f64::NAN, f64::NAN, 2.0]), 4);
        assert_eq!((lost.steps, lost.values.iter().filter(|value| value.is_nan()).count()), (vec![0, 1, 5], 1));
    }
}
