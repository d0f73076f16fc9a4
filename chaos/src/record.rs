//! What a run leaves in the database, and how two runs of one experiment differ. Pure.

use std::collections::BTreeMap;

use serde::Serialize;

/// Everything in which two runs of one experiment must agree, bit for bit.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Record {
    /// SHA-256 by job, kind and name.
    pub(crate) artifacts: BTreeMap<(String, String, String), String>,
    /// Bits of the value by job, name and step.
    pub(crate) points: BTreeMap<(String, String, i64), u64>,
    /// Bits of the value by job and name.
    pub(crate) results: BTreeMap<(String, String), u64>,
}

/// One difference from the quiet run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Difference {
    pub(crate) what: DifferenceKind,
    pub(crate) job: String,
    /// Of the point of a curve.
    pub(crate) step: Option<i64>,
    #[serde(rename = "words")]
    pub(crate) description: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum DifferenceKind {
    /// Only the quiet run has it.
    Lost,
    /// Only this run has it.
    Doubled,
    /// Both have it, with other bits.
    Changed,
    /// A file has another SHA-256, is missing, or is one too many.
    Weights,
}

/// How `run` differs from `quiet`.
pub(crate) fn differences(quiet: &Record, run: &Record) -> Vec<Difference> {
    let mut found = Vec::new();
    let mut add = |what, job: &str, step, description: String| {
        found.push(Difference { what, job: job.to_owned(), step, description });
    };
    for (key, sha256) in &quiet.artifacts {
        let (job, kind, name) = key;
        match run.artifacts.get(key) {
            None => add(DifferenceKind::Weights, job, None, format!("{kind} {name} is missing")),
            Some(other) if other != sha256 => {
                add(DifferenceKind::Weights, job, None, format!("{kind} {name} is {other}, quiet {sha256}"));
            }
            Some(_) => {}
        }
    }
    for (job, kind, name) in run.artifacts.keys().filter(|key| !quiet.artifacts.contains_key(*key)) {
        add(DifferenceKind::Weights, job, None, format!("{kind} {name} is not in the quiet run"));
    }
    for (key, bits) in &quiet.points {
        let (job, name, step) = key;
        let value = f64::from_bits(*bits);
        match run.points.get(key) {
            None => add(DifferenceKind::Lost, job, Some(*step), format!("{name} {value} of step {step}")),
            Some(other) if other != bits => {
                let other = f64::from_bits(*other);
                add(
                    DifferenceKind::Changed,
                    job,
                    Some(*step),
                    format!("{name} of step {step} is {other}, quiet {value}"),
                );
            }
            Some(_) => {}
        }
    }
    for (job, name, step) in run.points.keys().filter(|key| !quiet.points.contains_key(*key)) {
        add(DifferenceKind::Doubled, job, Some(*step), format!("{name} of step {step}, which is not in the quiet run"));
    }
    for (key, bits) in &quiet.results {
        let (job, name) = key;
        let value = f64::from_bits(*bits);
        match run.results.get(key) {
            None => add(DifferenceKind::Lost, job, None, format!("result {name} = {value}")),
            Some(other) if other != bits => {
                add(
                    DifferenceKind::Changed,
                    job,
                    None,
                    format!("result {name} is {}, quiet {value}", f64::from_bits(*other)),
                );
            }
            Some(_) => {}
        }
    }
    for (job, name) in run.results.keys().filter(|key| !quiet.results.contains_key(*key)) {
        add(DifferenceKind::Doubled, job, None, format!("result {name}, which is not in the quiet run"));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record {
        let job = || "encoder".to_owned();
        Record {
            artifacts: BTreeMap::from([((job(), "encoder".to_owned(), "e".to_owned()), "ab".to_owned())]),
            points: (1..=3).map(|step| ((job(), "loss".to_owned(), step), (0.5f64).to_bits())).collect(),
            results: BTreeMap::from([((job(), "loss".to_owned()), (0.25f64).to_bits())]),
        }
    }

    fn kinds(run: &Record) -> Vec<DifferenceKind> {
        differences(&record(), run).into_iter().map(|difference| difference.what).collect()
    }

    #[test]
    fn everything_that_is_not_the_same_is_found() {
        assert_eq!(kinds(&record()), []);
        let key = |step| ("encoder".to_owned(), "loss".to_owned(), step);
        let mut run = record();
        run.points.remove(&key(2));
        run.points.insert(key(4), 0);
        // The last bit.
        run.points.insert(key(3), (0.5f64).to_bits() + 1);
        assert_eq!(kinds(&run), [DifferenceKind::Lost, DifferenceKind::Changed, DifferenceKind::Doubled]);
        let mut run = record();
        run.artifacts.values_mut().for_each(|sha256| *sha256 = "cd".to_owned());
        run.results.clear();
        assert_eq!(kinds(&run), [DifferenceKind::Weights, DifferenceKind::Lost]);
        assert_eq!(kinds(&Record::default()).len(), 5);
    }
}
