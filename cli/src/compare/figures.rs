//! What was measured: mean, spread and interval of each side, and how far the others are from the first.

use serde::Serialize;
use tandem_domain::statistics::{Difference, Interval, Summary, difference, summary};
use tandem_draw::numbers::is_share;
use tandem_proto::v1::Job;

use crate::render::{job::value, results::place};

/// One figure of all sides.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Measured {
    pub(crate) name: String,
    /// By side; `None` where no job has it.
    pub(crate) of: Vec<Option<Summary>>,
    /// By side: less the first side that has it; `None` of that one and of those that have none.
    pub(crate) less_first: Vec<Option<Difference>>,
    /// A side that takes part has none.
    #[serde(skip)]
    pub(crate) is_missing: bool,
}

impl Measured {
    /// Which side the others are compared with.
    pub(crate) fn first(&self) -> Option<usize> {
        self.of.iter().position(Option::is_some)
    }

    /// All that take part have the same, to the bit.
    pub(crate) fn is_equal(&self) -> bool {
        let mut there = self.of.iter().flatten();
        let Some(first) = there.next() else { return true };
        let is_same = |one: &Summary| one.mean == first.mean && one.sd.unwrap_or(0.0) == 0.0;
        !self.is_missing && is_same(first) && there.all(is_same)
    }
}

/// Of each result that a job has, those first that people look at first.
pub(crate) fn measured(jobs: &[Vec<&Job>]) -> Vec<Measured> {
    let mut names: Vec<&str> =
        jobs.iter().flatten().flat_map(|job| &job.results).map(|one| one.name.as_str()).collect();
    names.sort_by_key(|name| (place(name), *name));
    names.dedup();
    let of = |name: &str| {
        let values = |jobs: &Vec<&Job>| jobs.iter().filter_map(|job| value(&job.results, name)).collect::<Vec<f64>>();
        let of: Vec<Option<Summary>> =
            jobs.iter().map(|jobs| summary(&values(jobs)).map(|of| possible(name, of))).collect();
        let first = of.iter().position(Option::is_some);
        let less = |(place, other): (usize, &Option<Summary>)| {
            let base = of.get(first.filter(|first| *first != place)?)?.as_ref()?;
            other.as_ref().map(|other| {
                let less = difference(base, other);
                Difference { interval: within(name, less.interval, -1.0), ..less }
            })
        };
        let less_first = of.iter().enumerate().map(less).collect();
        let is_missing = jobs.iter().zip(&of).any(|(jobs, of)| !jobs.is_empty() && of.is_none());
        Measured { name: name.to_owned(), less_first, of, is_missing }
    };
    names.into_iter().map(of).collect()
}

fn possible(name: &str, of: Summary) -> Summary {
    let is_possible = (0.0..=1.0).contains(&of.mean);
    Summary { interval: if is_possible { within(name, of.interval, 0.0) } else { of.interval }, ..of }
}

/// No share is above 1 or below `least`, however few values an interval is of.
fn within(name: &str, interval: Option<Interval>, least: f64) -> Option<Interval> {
    let cut = |interval: Interval| Interval { low: interval.low.max(least), high: interval.high.min(1.0) };
    if is_share(name) { interval.map(cut) } else { interval }
}

#[cfg(test)]
mod tests {
    use tandem_proto::v1::Scalar;

    use super::*;

    fn job(results: &[(&str, f64)]) -> Job {
        let scalar = |(name, value): &(&str, f64)| Scalar { name: (*name).to_owned(), value: *value };
        Job { results: results.iter().map(scalar).collect(), ..Job::default() }
    }

    #[test]
    fn the_first_that_has_it_is_what_others_are_compared_with() {
        let (a, b, c) = (job(&[("labels", 5.0)]), job(&[("x", 1.0), ("labels", 5.0)]), job(&[("x", 3.0)]));
        let found = measured(&[vec![&a], vec![&b, &b], vec![&c]]);
        let names: Vec<&str> = found.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(names, ["labels", "x"]);
        assert!(!found[0].is_equal() && !found[1].is_equal(), "the third has no labels");
        assert!(measured(&[vec![&a], vec![&b], vec![]])[0].is_equal(), "one that takes no part is not missed");
        assert_eq!((found[0].first(), found[1].first()), (Some(0), Some(1)));
        assert!(found[1].less_first[0].is_none() && found[1].less_first[1].is_none());
        assert_eq!(found[1].less_first[2].map(|one| (one.mean, one.interval)), Some((2.0, None)));
    }

    #[test]
    fn no_share_is_above_one() {
        let [a, b, c, d] = [0.9, 0.99, 0.1, 0.3].map(|value| job(&[("accuracy", value), ("loss", value)]));
        let found = measured(&[vec![&a, &b], vec![&c, &d]]);
        let interval = |figure: usize, side: usize| found[figure].of[side].and_then(|of| of.interval).unwrap();
        let [accuracy, loss] = ["accuracy", "loss"].map(|name| found.iter().position(|one| one.name == name).unwrap());
        assert_eq!((interval(accuracy, 0).high, interval(accuracy, 1).low), (1.0, 0.0));
        assert!(interval(loss, 0).high > 1.0 && interval(loss, 1).low < 0.0);
        let less = |figure: usize| found[figure].less_first[1].and_then(|less| less.interval).unwrap();
        assert!(less(accuracy).low == -1.0 && less(loss).low < -1.0, "{:?}", less(accuracy));
    }
}
