//! The parameters in which jobs differ: their own, and those of what they start from.

use std::collections::BTreeMap;

use serde_json::Value;
use tandem_proto::v1::Job;

use super::pairs::Side;
use crate::render::job_specs::base;

/// Keys that name a job and change nothing of it.
const NAMES: [&str; 2] = ["name", "inputs"];
/// More steps from job to input there are not.
const DEEPEST: usize = 8;

/// One key with what each side has.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Differing {
    pub(crate) key: String,
    /// By side; of several runs each value once, empty where the side has none.
    pub(crate) values: Vec<String>,
}

/// The values of a side, by key; of seeds all that there are.
type Values = BTreeMap<String, Vec<String>>;

/// What is not the same for all sides that have jobs, by key.
pub(crate) fn differing(sides: &[Side], jobs: &[Vec<&Job>]) -> Vec<Differing> {
    let values: Vec<Values> = sides.iter().zip(jobs).map(|(side, jobs)| of_side(side, jobs)).collect();
    let mut keys: Vec<&String> = values.iter().flat_map(BTreeMap::keys).collect();
    keys.sort();
    keys.dedup();
    let told = |key: &String| {
        let values = values.iter().map(|one| one.get(key).map(|values| values.join(", ")).unwrap_or_default());
        Differing { key: key.clone(), values: values.collect() }
    };
    keys.into_iter().map(told).filter(|one| differs(&one.values, jobs)).collect()
}

/// Whether the sides that have jobs have not all the same.
pub(crate) fn differs(values: &[String], jobs: &[Vec<&Job>]) -> bool {
    let mut there = values.iter().zip(jobs).filter(|(_, jobs)| !jobs.is_empty()).map(|(value, _)| value);
    there.next().is_some_and(|first| there.any(|other| other != first))
}

fn of_side(side: &Side, jobs: &[&Job]) -> Values {
    let mut all = Values::new();
    for job in jobs {
        add(side, job, "", 0, &mut all);
    }
    for values in all.values_mut() {
        values.sort_by(|a, b| match (a.parse::<f64>(), b.parse::<f64>()) {
            (Ok(a), Ok(b)) => a.total_cmp(&b),
            _ => a.cmp(b),
        });
        values.dedup();
    }
    all
}

fn add(side: &Side, job: &Job, before: &str, depth: usize, all: &mut Values) {
    let spec: Value = serde_json::from_str(&job.spec_json).unwrap_or(Value::Null);
    let Value::Object(parts) = spec else { return };
    for (key, value) in parts.iter().filter(|(key, _)| !NAMES.contains(&key.as_str())) {
        match (key.as_str(), value) {
            ("stage", Value::Object(stage)) => stage.iter().for_each(|(key, value)| flat(before, key, value, all)),
            _ => flat(before, key, value, all),
        }
    }
    let inputs = job.depends_on.iter().filter_map(|id| side.around.iter().find(|other| other.id == *id));
    for input in inputs.filter(|_| depth < DEEPEST) {
        add(side, input, &format!("{}: ", base(&input.name)), depth + 1, all);
    }
}

/// `optimizer.lr`, as an experiment file has it.
fn flat(before: &str, key: &str, value: &Value, all: &mut Values) {
    match value {
        Value::Object(parts) => {
            for (part, value) in parts {
                flat(before, &format!("{key}.{part}"), value, all);
            }
        }
        Value::Null => {}
        Value::String(text) => all.entry(format!("{before}{key}")).or_default().push(text.clone()),
        Value::Number(number) => {
            let text = number.as_f64().map_or_else(|| number.to_string(), |number| number.to_string());
            all.entry(format!("{before}{key}")).or_default().push(text);
        }
        other => all.entry(format!("{before}{key}")).or_default().push(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn job(id: &str, name: &str, from: Option<&str>, seed: u32, stage: Value) -> Job {
        Job {
            id: id.to_owned(),
            name: name.to_owned(),
            depends_on: from.map(str::to_owned).into_iter().collect(),
            spec_json: json!({"name": name, "seed": seed, "inputs": ["x"], "stage": stage}).to_string(),
            ..Job::default()
        }
    }

    fn side(jobs: Vec<Job>) -> Side {
        Side { around: jobs.clone(), jobs, ..Side::default() }
    }

    #[test]
    fn what_differs_may_be_an_inputs() {
        let encoder = |lr: f64| json!({"stage": "contrastive", "epochs": 10, "optimizer": {"lr": lr}});
        let linear = json!({"stage": "linear", "label_fraction": 0.1});
        let a = side(vec![
            job("l1", "linear[seed=1]", Some("e1"), 1, linear.clone()),
            job("l2", "linear[seed=2]", Some("e1"), 2, linear.clone()),
            job("e1", "encoder", None, 1, encoder(0.3)),
        ]);
        let b = side(vec![job("l3", "linear", Some("e3"), 1, linear), job("e3", "encoder", None, 1, encoder(1.0))]);
        let jobs = [vec![&a.jobs[0], &a.jobs[1]], vec![&b.jobs[0]]];
        let found = differing(&[a.clone(), b.clone()], &jobs);
        let found: Vec<String> = found.iter().map(|one| format!("{} {}", one.key, one.values.join(" | "))).collect();
        assert_eq!(found, ["encoder: optimizer.lr 0.3 | 1", "seed 1, 2 | 1"]);
        let same = [vec![&a.jobs[0]], vec![&a.jobs[0]]];
        assert!(differing(&[a.clone(), a.clone()], &same).is_empty());
    }

    #[test]
    fn a_side_without_jobs_differs_in_nothing() {
        let a = side(vec![job("s", "supervised", None, 1, json!({"stage": "supervised", "steps": 5}))]);
        let jobs = [vec![&a.jobs[0]], Vec::new(), vec![&a.jobs[0]]];
        assert!(differing(&[a.clone(), Side::default(), a.clone()], &jobs).is_empty());
        let b = side(vec![job("s", "supervised", None, 1, json!({"stage": "supervised", "epochs": 2}))]);
        let jobs = [vec![&a.jobs[0]], vec![&b.jobs[0]]];
        let found = differing(&[a.clone(), b.clone()], &jobs);
        let found: Vec<String> = found.iter().map(|one| format!("{} {}", one.key, one.values.join("|"))).collect();
        assert_eq!(found, ["epochs |2", "steps 5|"]);
    }
}
