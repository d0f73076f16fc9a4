//! The report on all runs, and whether everything held. Pure.

use serde::Serialize;
use tandem_domain::timing::Timing;

use crate::{
    fault::FaultKind,
    record::{Difference, Record, differences},
    run::{Injection, RunResult},
    summary::{FaultRow, Promise, promises, rows},
};

/// So many differences of each run are listed; the others are only counted.
const SHOWN: usize = 12;

/// One run under faults.
#[derive(Debug, Serialize)]
pub(crate) struct RunReport {
    pub(crate) experiment: String,
    pub(crate) seconds: f64,
    pub(crate) injections: Vec<Injection>,
    pub(crate) wrong: Vec<String>,
    pub(crate) differences: Vec<Difference>,
}

impl RunReport {
    pub(crate) fn of(result: RunResult, quiet: &Record) -> Self {
        let differences = differences(quiet, &result.record);
        let RunResult { experiment, seconds, injections, wrong, .. } = result;
        Self { experiment, seconds, injections, wrong, differences }
    }
}

#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) seed: u64,
    pub(crate) timing: String,
    pub(crate) skipped: Vec<FaultKind>,
    pub(crate) quiet_seconds: f64,
    /// Numbers of files, points of curves and results of the quiet run, which every run must have.
    pub(crate) compared: [usize; 3],
    pub(crate) quiet_wrong: Vec<String>,
    pub(crate) rows: Vec<FaultRow>,
    pub(crate) promises: Vec<Promise>,
    pub(crate) runs: Vec<RunReport>,
}

impl Report {
    pub(crate) fn of(
        seed: u64,
        timing: Timing,
        skipped: Vec<FaultKind>,
        quiet: RunResult,
        runs: Vec<RunReport>,
    ) -> Self {
        let faulty: Vec<_> = runs.iter().map(|run| (run.injections.as_slice(), run.differences.as_slice())).collect();
        let all: Vec<&Injection> = runs.iter().flat_map(|run| &run.injections).collect();
        Self {
            seed,
            timing: timing.name.to_owned(),
            skipped,
            quiet_seconds: quiet.seconds,
            compared: [quiet.record.artifacts.len(), quiet.record.points.len(), quiet.record.results.len()],
            quiet_wrong: quiet.wrong,
            rows: rows(&faulty),
            promises: promises(&all, timing),
            runs,
        }
    }

    /// Everything that does not hold, in words.
    pub(crate) fn wrong(&self) -> Vec<String> {
        let mut all: Vec<String> =
            self.quiet_wrong.iter().map(|description| format!("quiet run: {description}")).collect();
        for (number, run) in (1..).zip(&self.runs) {
            all.extend(run.wrong.iter().map(|description| format!("run {number}: {description}")));
            let shown = run.differences.iter().take(SHOWN);
            all.extend(
                shown.map(|found| format!("run {number}: {:?}: {}: {}", found.what, found.job, found.description)),
            );
            if run.differences.len() > SHOWN {
                all.push(format!("run {number}: {} differences in all (see --json)", run.differences.len()));
            }
        }
        if self.compared[0] == 0 || self.compared[1] == 0 {
            all.push("the quiet run left nothing to compare with".to_owned());
        }
        all
    }

    pub(crate) fn holds(&self, strict: bool) -> bool {
        self.wrong().is_empty() && (!strict || self.promises.iter().all(|promise| promise.kept))
    }

    /// The last line of the report.
    pub(crate) fn verdict(&self, strict: bool) -> String {
        let faults: usize = self.runs.iter().map(|run| run.injections.len()).sum();
        let [files, points, results] = self.compared;
        let what = if self.holds(strict) { "HELD" } else { "DID NOT HOLD" };
        let skipped = match self.skipped.len() {
            0 => String::new(),
            _ => {
                let names: Vec<String> = self.skipped.iter().map(|kind| kind.name()).collect();
                format!("; skipped: {}", names.join(", "))
            }
        };
        format!(
            "{what}: seed {}, {faults} faults in {} run(s); each compared with {files} files, {points} points of curves and \
             {results} results of the quiet run{skipped}",
            self.seed,
            self.runs.len()
        )
    }
}

pub(crate) fn describe(promise: &Promise) -> String {
    let kept = if promise.kept { "kept" } else { "MISSED" };
    format!("{kept}: {} {:.1} s, goal {:.0} s", promise.what, promise.seconds, promise.goal)
}

#[cfg(test)]
mod tests {
    use tandem_domain::timing::FAST;

    use super::*;

    fn quiet() -> RunResult {
        let mut record = Record::default();
        record.artifacts.insert(("encoder".into(), "encoder".into(), "e".into()), "ab".into());
        record.points.insert(("encoder".into(), "loss".into(), 1), 7);
        RunResult { record, ..RunResult::default() }
    }

    fn report(change: impl FnOnce(&mut RunResult)) -> Report {
        let mut ran = quiet();
        change(&mut ran);
        let run = RunReport::of(ran, &quiet().record);
        Report::of(1, FAST, Vec::new(), quiet(), vec![run])
    }

    #[test]
    fn any_difference_and_any_broken_rule_is_a_failure() {
        assert!(report(|_| {}).holds(true));
        assert!(!report(|ran| ran.wrong.push("two at a time".to_owned())).holds(false));
        let lost = report(|ran| ran.record.points.clear());
        assert!(!lost.holds(false) && lost.verdict(false).starts_with("DID NOT HOLD"));
        let empty = Report::of(1, FAST, Vec::new(), RunResult::default(), Vec::new());
        assert!(!empty.holds(false), "a quiet run that left nothing proves nothing");
    }

    #[test]
    fn a_missed_limit_counts_only_with_strict() {
        let mut report = report(|_| {});
        report.promises.push(Promise { what: "late".to_owned(), seconds: 4.0, goal: 3.0, kept: false });
        assert!(report.holds(false) && !report.holds(true));
    }
}
