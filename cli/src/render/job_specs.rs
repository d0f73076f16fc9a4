//! The specs of several jobs: the kind of model that each trains, and the parameters in which they differ.

use std::collections::{BTreeSet, HashMap};

use serde_json::Value;
use tandem_proto::v1::Job;

/// Jobs with their parsed specs, by id, so that a job's inputs can be looked up.
pub(crate) struct JobSpecs<'a> {
    by_id: HashMap<&'a str, (&'a Job, Value)>,
}

impl<'a> JobSpecs<'a> {
    pub(crate) fn new(jobs: &'a [Job]) -> Self {
        let read = |job: &'a Job| (job.id.as_str(), (job, serde_json::from_str(&job.spec_json).unwrap_or(Value::Null)));
        Self { by_id: jobs.iter().map(read).collect() }
    }

    fn input(&self, job: &Job) -> Option<&'a Job> {
        job.depends_on.iter().find_map(|id| self.by_id.get(id.as_str()).map(|(job, _)| *job))
    }

    /// The kind of model that a job trains or attacks, in the words of the paper's tables.
    pub(crate) fn model(&self, job: &Job) -> String {
        match job.stage.as_str() {
            "linear" => "contrastive".to_owned(),
            "finetune" => "fine-tuned".to_owned(),
            "attack" => match self.input(job) {
                Some(input) => self.model(input),
                None => {
                    swept(&job.name).find(|(key, _)| *key == "from").map_or(base(&job.name), |(_, from)| from).into()
                }
            },
            other => other.to_owned(),
        }
    }

    /// The value of a dotted key: its own, else that of the job it starts from.
    pub(crate) fn value(&self, job: &Job, key: &str) -> Option<String> {
        self.own(job, key).or_else(|| self.input(job).and_then(|input| self.value(input, key)))
    }

    /// From the job's name if it was swept, else from its spec.
    pub(crate) fn own(&self, job: &Job, key: &str) -> Option<String> {
        if let Some((_, value)) = swept(&job.name).find(|(name, _)| *name == key) {
            return Some(number(value).map_or_else(|| value.to_owned(), |number| number.to_string()));
        }
        let spec = self.by_id.get(job.id.as_str()).map(|(_, spec)| spec);
        let pointer = key.replace('.', "/");
        let own = spec.and_then(|spec| {
            spec.pointer(&format!("/stage/{pointer}")).or_else(|| spec.get(key)).filter(|value| !value.is_null())
        });
        match own? {
            Value::String(text) => Some(text.clone()),
            value => Some(value.as_f64().map_or_else(|| value.to_string(), |number| number.to_string())),
        }
    }

    /// Swept keys that have more than one value among `jobs`, in the order of their names.
    pub(crate) fn varying(&self, jobs: &[&Job]) -> Vec<String> {
        let keys: BTreeSet<&str> = jobs.iter().flat_map(|job| swept(&job.name).map(|(key, _)| key)).collect();
        let differs = |key: &&str| jobs.iter().map(|job| self.value(job, key)).collect::<BTreeSet<_>>().len() > 1;
        keys.into_iter().filter(|key| *key != "from").filter(differs).map(str::to_owned).collect()
    }
}

/// A job's name without what a sweep adds to it.
pub(crate) fn base(name: &str) -> &str {
    name.split('[').next().unwrap_or(name)
}

/// `supervised, λ = 10` for `supervised[tikhonov.lambda=10.0]`, without the keys `but`.
pub(crate) fn display_name(name: &str, but: &[&str]) -> String {
    let plain = |value: &str| number(value).map_or_else(|| value.to_owned(), |number| number.to_string());
    let swept = swept(name).filter(|(key, _)| !but.contains(key)).map(|(key, value)| describe(key, &plain(value)));
    std::iter::once(base(name).to_owned()).chain(swept).collect::<Vec<_>>().join(", ")
}

/// `label_fraction=0.1`, ...: what a sweep adds to a name.
pub(crate) fn swept(name: &str) -> impl Iterator<Item = (&str, &str)> {
    let inside = name.split_once('[').and_then(|(_, rest)| rest.strip_suffix(']')).unwrap_or("");
    inside.split(',').filter_map(|part| part.split_once('='))
}

fn number(text: &str) -> Option<f64> {
    text.parse().ok()
}

/// `10 % of labels`, `λ = 0.1`, `seed 2`, `optimizer.lr = 0.3`.
pub(crate) fn describe(key: &str, value: &str) -> String {
    match key {
        "label_fraction" => format!("{} of labels", share(value)),
        "tikhonov.lambda" => format!("λ = {value}"),
        "seed" => format!("seed {value}"),
        "attack" => value.to_uppercase(),
        "norm" => value.to_owned(),
        _ => format!("{key} = {value}"),
    }
}

/// `10 %` for `0.1`.
pub(crate) fn share(value: &str) -> String {
    // Not 28.999999999999996 %.
    number(value).map_or_else(|| value.to_owned(), |share| format!("{} %", (1e6 * share).round() / 1e4))
}

#[cfg(test)]
pub(crate) mod tests {
    use tandem_proto::v1::{JobState, Scalar};

    use super::*;

    pub(crate) fn job(name: &str, stage: &str, from: Option<&str>, spec: Value, accuracy: Option<f64>) -> Job {
        Job {
            id: format!("id of {name}"),
            experiment_name: "table".to_owned(),
            name: name.to_owned(),
            stage: stage.to_owned(),
            state: JobState::Succeeded.into(),
            depends_on: from.map(|from| format!("id of {from}")).into_iter().collect(),
            spec_json: serde_json::json!({"seed": 1, "stage": spec}).to_string(),
            results: accuracy.map(|value| Scalar { name: "test_accuracy".to_owned(), value }).into_iter().collect(),
            ..Job::default()
        }
    }

    #[test]
    fn values_come_from_the_name_the_spec_or_the_input() {
        let lambda = |value: f64| serde_json::json!({"tikhonov": {"lambda": value}, "encoder": "resnet18"});
        let jobs = [
            job("encoder[tikhonov.lambda=10]", "contrastive", None, lambda(10.0), None),
            job("tuned", "finetune", Some("encoder[tikhonov.lambda=10]"), lambda(0.0), None),
            job("linear[tikhonov.lambda=10]", "linear", Some("encoder[tikhonov.lambda=10]"), Value::Null, None),
            job(
                "attack[from=linear,tikhonov.lambda=10]",
                "attack",
                Some("linear[tikhonov.lambda=10]"),
                Value::Null,
                None,
            ),
            job("attack[from=gone]", "attack", Some("gone"), Value::Null, None),
        ];
        let specs = JobSpecs::new(&jobs);
        let value = |index: usize, key| specs.value(&jobs[index], key);
        assert_eq!(value(1, "tikhonov.lambda").as_deref(), Some("0"), "its own");
        assert_eq!(value(2, "tikhonov.lambda").as_deref(), Some("10"));
        assert_eq!(value(2, "encoder").as_deref(), Some("resnet18"), "of what it starts from");
        assert_eq!(value(3, "encoder").as_deref(), Some("resnet18"), "two steps up");
        assert_eq!(value(3, "seed").as_deref(), Some("1"));
        assert_eq!(value(3, "nothing"), None);
        assert_eq!([3, 4, 1].map(|index| specs.model(&jobs[index])), ["contrastive", "gone", "fine-tuned"]);
    }

    #[test]
    fn only_what_differs_is_named() {
        let jobs = ["a[seed=1,x=1.0]", "a[seed=2,x=1]"].map(|name| job(name, "linear", None, Value::Null, None));
        let specs = JobSpecs::new(&jobs);
        assert_eq!(specs.varying(&jobs.iter().collect::<Vec<_>>()), ["seed"], "1.0 is 1");
        assert_eq!(describe("label_fraction", "0.29"), "29 % of labels");
        assert_eq!(describe("tikhonov.lambda", "0.1"), "λ = 0.1");
        assert_eq!(
            display_name("linear[label_fraction=0.1,tikhonov.lambda=10.0]", &[]),
            "linear, 10 % of labels, λ = 10"
        );
        assert_eq!(display_name("linear[seed=1]", &["seed"]), "linear");
    }
}
