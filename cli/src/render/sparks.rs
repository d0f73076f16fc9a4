//! Curves in a line, beside what has them.

use std::collections::HashMap;

use tandem_draw::{plot, spark};
use tandem_proto::v1::{Job, JobState, Series};

use super::{job, progress, units};
use crate::printable::line;

/// Metrics that are shown of one job.
pub(crate) const OF_JOB: [&str; 3] = ["loss", "knn_accuracy", "validation_accuracy"];
/// Letters of a curve.
pub(crate) const WIDE: usize = 40;
/// Values that are kept of one job.
const MOST_VALUES: usize = 512;

/// Whether its curve says something that its results do not: it runs, or did not come to its end.
pub(crate) fn are_wanted(job: &Job) -> bool {
    let has_values = job.progress.as_ref().is_some_and(|progress| !progress.metrics.is_empty());
    has_values && matches!(job.state(), JobState::Running | JobState::Failed | JobState::Cancelled)
}

/// `loss  ▇▅▃▂▁  5.512 to 4.503`, a line for each series; `name` says what stands at its beginning.
pub(crate) fn lines(series: &[Series], name: impl Fn(&Series) -> String) -> String {
    let shown: Vec<(String, String)> =
        series.iter().filter_map(|one| Some((line(&name(one)).into_owned(), course(one)?))).collect();
    let widest = shown.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    shown.iter().map(|(name, course)| format!("{name:widest$}  {course}\n")).collect()
}

/// What stands before the curves of one job.
pub(crate) fn metric(series: &Series) -> String {
    progress::label(&series.name).to_owned()
}

fn course(series: &Series) -> Option<String> {
    let finite = || series.values.iter().filter(|value| value.is_finite());
    let (first, last) = (finite().next()?, finite().next_back()?);
    let figure = |value: &f64| units::figure(&series.name, *value);
    Some(format!("{:WIDE$}  {} to {}", spark::text(&series.values, WIDE), figure(first), figure(last)))
}

/// The losses that were seen of jobs while they were watched.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    losses: HashMap<String, (u64, Vec<f64>)>,
}

impl Seen {
    pub(crate) fn note(&mut self, jobs: &[&Job]) {
        // What is not shown any more is forgotten.
        self.losses.retain(|id, _| jobs.iter().any(|job| job.id == *id));
        for job in jobs {
            let Some(progress) = job.progress.as_ref().filter(|_| job.state() == JobState::Running) else { continue };
            let Some(loss) = job::value(&progress.metrics, "loss") else { continue };
            let (step, values) = self.losses.entry(job.id.clone()).or_default();
            if *step == progress.step && !values.is_empty() {
                continue;
            }
            *step = progress.step;
            values.push(loss);
            if values.len() >= MOST_VALUES {
                *values = values.chunks(2).map(|pair| pair.iter().sum::<f64>() / pair.len() as f64).collect();
            }
        }
    }

    /// At most `width` letters; empty until there is a course.
    pub(crate) fn spark(&self, job: &Job, width: usize) -> String {
        match self.losses.get(&job.id) {
            Some((_, values)) if values.len() > 1 => spark::text(values, width),
            _ => String::new(),
        }
    }
}

/// Of `loss`: that and its layers.
pub(crate) fn names() -> Vec<String> {
    OF_JOB.iter().flat_map(|name| plot::with_layers(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::job::tests::running;

    #[test]
    fn a_curve_is_a_line_with_its_ends() {
        let one = Series {
            name: "loss".to_owned(),
            steps: vec![0, 1, 2],
            values: vec![5.5, f64::NAN, 4.5],
            ..Series::default()
        };
        let none = Series { name: "lr".to_owned(), values: vec![f64::NAN], ..Series::default() };
        let text = lines(&[one, none], metric);
        assert_eq!(text, format!("loss  {:40}  5.500 to 4.500\n", "█ ▁"));
    }

    #[test]
    fn what_is_watched_is_remembered_within_bounds() {
        let mut seen = Seen::default();
        let mut job = running();
        for step in 0..5000 {
            let progress = job.progress.as_mut().unwrap();
            (progress.step, progress.metrics[0].value) = (step, 5000.0 - step as f64);
            seen.note(&[&job]);
            seen.note(&[&job]);
        }
        assert!(seen.losses[&job.id].1.len() < MOST_VALUES);
        let spark = seen.spark(&job, 8);
        assert!(spark.starts_with('█') && spark.ends_with('▁') && spark.chars().count() == 8, "{spark}");
        seen.note(&[]);
        assert_eq!(seen.spark(&job, 8), "");
    }
}
