//! Results: finished jobs with their figures, and curves of metrics.

use std::collections::HashMap;

use uuid::Uuid;

use crate::{
    error::Result,
    query::jobs::limited,
    store::{
        Conn,
        measures::{self, Curve},
        overview::{self, JobRow},
        picks::{Figures, Filter},
    },
    target,
};

/// A query for finished jobs; empty strings select everything.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Question<'a> {
    /// Whose experiments a name stands for first.
    pub(crate) own: &'a str,
    pub(crate) target: &'a str,
    pub(crate) stage: &'a str,
    /// Name of the result to sort by.
    pub(crate) best: &'a str,
    pub(crate) ascending: bool,
    pub(crate) limit: u32,
}

/// Ended jobs that succeeded or have results: sorted by the result asked for (jobs without it last), else newest first.
pub(crate) async fn query(conn: &mut Conn, question: Question<'_>) -> Result<Vec<JobRow>> {
    let target = match question.target {
        "" => None,
        text => Some(target::resolve(conn, text, question.own).await?),
    };
    let Question { stage, best, ascending, limit, .. } = question;
    let filter = Filter {
        scope: target::scope(target.as_ref()),
        figures: Some(Figures { stage, best, ascending }),
        limit: limited(limit),
        ..Filter::default()
    };
    Ok(overview::list(conn, &filter).await?)
}

pub(crate) struct NamedCurve {
    pub(crate) job_name: String,
    pub(crate) curve: Curve,
}

/// Curves in the order of the jobs; of all names if `names` is empty; each of at most `points` points, unless that is 0.
pub(crate) async fn metrics(
    conn: &mut Conn,
    target: &str,
    own: &str,
    names: &[String],
    points: u32,
) -> Result<Vec<NamedCurve>> {
    let target = target::resolve(conn, target, own).await?;
    let jobs = target::names_of(conn, target).await?;
    let ids: Vec<_> = jobs.iter().map(|job| job.job_id).collect();
    let curves = measures::curves(conn, &ids, names).await?;
    let mut names: HashMap<Uuid, String> = HashMap::new();
    for job in jobs {
        // An experiment may have two names for one job; the first one is shown.
        names.entry(job.job_id).or_insert(job.name);
    }
    let named = curves.into_iter().filter_map(|curve| {
        let job_name = names.get(&curve.job)?.clone();
        Some(NamedCurve { job_name, curve: if points == 0 { curve } else { thinned(curve, points as usize) } })
    });
    Ok(named.collect())
}

/// Neighbours are averaged, each group at its last step. The newest point stays as it is: people look at it.
fn thinned(curve: Curve, most: usize) -> Curve {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(values: Vec<f64>) -> Curve {
        let steps = (0..).take(values.len()).collect();
        Curve { job: Uuid::nil(), name: "loss".to_owned(), steps, values }
    }

    #[test]
    fn a_long_curve_keeps_its_course_and_its_newest_point() {
        let long = thinned(curve((0..10_001).map(f64::from).collect()), 11);
        assert_eq!(long.steps, [999, 1999, 2999, 3999, 4999, 5999, 6999, 7999, 8999, 9999, 10_000]);
        assert_eq!((long.values[0], long.values[10]), (499.5, 10_000.0));
        assert_eq!(thinned(curve(vec![1.0, 2.0]), 2).values, [1.0, 2.0]);
        assert_eq!(thinned(curve(vec![1.0, 2.0, 3.0]), 1).values, [3.0]);
        let gap = thinned(curve(vec![f64::NAN, 1.0, f64::INFINITY, f64::NAN, 5.0]), 3).values;
        assert!(gap[0] == 1.0 && !gap[1].is_finite() && gap[2] == 5.0, "{gap:?}");
    }
}
