//! The faults of all runs, by kind: what was lost, how long recovery took, and whether the promises are kept. Pure.

use serde::Serialize;
use tandem_domain::timing::Timing;

use crate::{
    fault::FaultKind,
    record::{Difference, DifferenceKind},
    run::Injection,
};

/// Percentiles by nearest rank: the smallest value that so many percent of all values do not exceed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Spread {
    pub(crate) p50: f64,
    pub(crate) p95: f64,
    pub(crate) max: f64,
}

impl Spread {
    pub(crate) fn of(values: impl Iterator<Item = f64>) -> Option<Self> {
        let mut sorted: Vec<f64> = values.collect();
        sorted.sort_by(f64::total_cmp);
        let at = |percent: usize| sorted.get((sorted.len() * percent).div_ceil(100).saturating_sub(1)).copied();
        Some(Self { p50: at(50)?, p95: at(95)?, max: at(100)? })
    }
}

/// One line of the table.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct FaultRow {
    pub(crate) kind: FaultKind,
    pub(crate) injected: usize,
    pub(crate) lost: usize,
    pub(crate) doubled: usize,
    /// Points and results with other bits.
    pub(crate) changed: usize,
    pub(crate) recovered: usize,
    pub(crate) notice: Option<Spread>,
    pub(crate) next_step: Option<Spread>,
    pub(crate) weights_equal: bool,
}

/// A run's faults, and its differences from the quiet run.
pub(crate) type Faulty<'a> = (&'a [Injection], &'a [Difference]);

/// A row for each kind that was injected.
pub(crate) fn rows(runs: &[Faulty<'_>]) -> Vec<FaultRow> {
    FaultKind::all().iter().filter_map(|kind| row(*kind, runs)).collect()
}

fn row(kind: FaultKind, runs: &[Faulty<'_>]) -> Option<FaultRow> {
    let all: Vec<&Injection> =
        runs.iter().flat_map(|(injections, _)| injections.iter()).filter(|injection| injection.kind == kind).collect();
    if all.is_empty() {
        return None;
    }
    let blamed = |what: DifferenceKind| {
        let of_run = |(injections, differences): &Faulty<'_>| {
            let mine = |difference: &&Difference| {
                difference.what == what && blame(injections, difference).is_some_and(|injection| injection.kind == kind)
            };
            differences.iter().filter(mine).count()
        };
        runs.iter().map(of_run).sum()
    };
    // If a job ends with other weights, all faults that hit it are suspect.
    let is_suspect = |(injections, differences): &Faulty<'_>| {
        let hit = |job: &str| injections.iter().any(|injection| injection.kind == kind && injection.job == job);
        differences.iter().any(|difference| difference.what == DifferenceKind::Weights && hit(&difference.job))
    };
    Some(FaultRow {
        kind,
        injected: all.len(),
        lost: blamed(DifferenceKind::Lost),
        doubled: blamed(DifferenceKind::Doubled),
        changed: blamed(DifferenceKind::Changed),
        recovered: all.iter().filter(|injection| injection.recovered).count(),
        notice: Spread::of(all.iter().filter_map(|injection| injection.seconds_to_notice)),
        next_step: Spread::of(all.iter().filter_map(|injection| injection.seconds_to_next_step)),
        weights_equal: !runs.iter().any(is_suspect),
    })
}

/// The fault that is blamed for a difference: the first one of its job that ended at or after its step, else the last.
fn blame<'a>(injections: &'a [Injection], difference: &Difference) -> Option<&'a Injection> {
    let mut of_job = injections.iter().filter(|injection| injection.job == difference.job);
    let step = difference.step.unwrap_or(i64::MAX);
    of_job.clone().find(|injection| step <= injection.step_after).or_else(|| of_job.next_back())
}

/// A promise on time, and what was measured.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Promise {
    pub(crate) what: String,
    pub(crate) seconds: f64,
    pub(crate) goal: f64,
    pub(crate) kept: bool,
}

/// About the death of workers; none if none died.
pub(crate) fn promises(injections: &[&Injection], timing: Timing) -> Vec<Promise> {
    let next_step_goal = if timing.name == "fast" { 12.0 } else { 30.0 };
    let deaths = || injections.iter().filter(|injection| injection.kind.is_worker_death());
    let notice = Spread::of(deaths().filter_map(|injection| injection.seconds_to_notice));
    let next = Spread::of(deaths().filter_map(|injection| injection.seconds_to_next_step));
    let promise = |what: &str, seconds: f64, goal: f64| Promise {
        what: format!("{what} ({} deaths, profile {})", deaths().count(), timing.name),
        seconds,
        goal,
        kept: seconds <= goal,
    };
    let noticed =
        notice.map(|spread| promise("a worker's death is noticed, max", spread.max, timing.death_seen.as_secs_f64()));
    let next_step = next.map(|spread| promise("next committed step after it, p95", spread.p95, next_step_goal));
    noticed.into_iter().chain(next_step).collect()
}

#[cfg(test)]
mod tests {
    use tandem_domain::timing::FAST;

    use super::*;
    use crate::plan::Stage;

    fn injection(kind: FaultKind, steps: (i64, i64), seconds: f64) -> Injection {
        Injection {
            kind,
            victim: "left".to_owned(),
            job: "encoder".to_owned(),
            stage: Stage::Pretraining,
            step_before: steps.0,
            step_after: steps.1,
            seconds_to_notice: Some(seconds),
            seconds_to_next_step: Some(4.0 * seconds),
            recovered: true,
        }
    }

    fn difference(what: DifferenceKind, job: &str, step: Option<i64>) -> Difference {
        Difference { what, job: job.to_owned(), step, description: String::new() }
    }

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let spread = Spread::of((1..=20).map(f64::from)).unwrap();
        assert_eq!((spread.p50, spread.p95, spread.max), (10.0, 19.0, 20.0));
        assert_eq!(Spread::of([3.0].into_iter()), Some(Spread { p50: 3.0, p95: 3.0, max: 3.0 }));
        assert_eq!(Spread::of(std::iter::empty()), None);
    }

    #[test]
    fn what_is_lost_is_put_down_to_the_fault_that_it_follows() {
        let injections =
            [injection(FaultKind::KillRank, (10, 20), 1.0), injection(FaultKind::KillWorker, (30, 40), 2.0)];
        let differences = [
            difference(DifferenceKind::Lost, "encoder", Some(15)),
            difference(DifferenceKind::Doubled, "encoder", Some(35)),
            difference(DifferenceKind::Lost, "encoder", None),
            difference(DifferenceKind::Lost, "linear", Some(1)),
            difference(DifferenceKind::Weights, "encoder", None),
        ];
        let rows = rows(&[(&injections, &differences)]);
        let figures: Vec<_> = rows.iter().map(|row| (row.kind, row.lost, row.doubled, row.weights_equal)).collect();
        assert_eq!(figures, [(FaultKind::KillRank, 1, 0, false), (FaultKind::KillWorker, 1, 1, false)]);
    }

    #[test]
    fn only_the_death_of_workers_is_promised() {
        let slow = injection(FaultKind::StopLeader, (1, 2), 9.0);
        assert!(promises(&[&slow], FAST).is_empty());
        let dead = injection(FaultKind::KillWorker, (1, 2), 3.5);
        let kept: Vec<bool> = promises(&[&slow, &dead], FAST).iter().map(|promise| promise.kept).collect();
        assert_eq!(kept, [false, false]);
        let quick = injection(FaultKind::LoseWorker, (1, 2), 2.9);
        assert!(promises(&[&quick], FAST).iter().all(|promise| promise.kept));
    }
}
