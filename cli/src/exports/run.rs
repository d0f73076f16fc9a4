//! A job as a run of MLflow: parameters, figures, tags, and batches of points as its REST takes them.

use serde_json::{Value, json};
use tandem_proto::v1::{Job, JobState, Series};

use crate::time::utc;

/// Of one call, by MLflow's own limits.
pub(crate) const METRICS_MAX: usize = 1000;
pub(crate) const PARAMS_MAX: usize = 100;
const VALUE_BYTES_MAX: usize = 6000;
/// By which a job is found again.
pub(crate) const JOB_TAG: &str = "tandem.job_id";

fn millis(at: &Option<tandem_proto::convert::Timestamp>) -> Option<i64> {
    utc(at).map(|at| at.timestamp_millis())
}

/// `runs/create`.
pub(crate) fn create(job: &Job, experiment: &str) -> Value {
    let tags = [
        ("mlflow.user", job.owner.as_str()),
        (JOB_TAG, &job.id),
        ("tandem.experiment", &job.experiment_name),
        ("tandem.experiment_id", &job.experiment_id),
        ("tandem.stage", &job.stage),
    ];
    json!({
        "experiment_id": experiment,
        "run_name": job.name,
        "start_time": millis(&job.started_at).or_else(|| millis(&job.created_at)),
        "tags": tags.map(|(key, value)| json!({ "key": key, "value": value })),
    })
}

/// `runs/update`.
pub(crate) fn end(job: &Job, run: &str) -> Value {
    let status = match job.state() {
        JobState::Succeeded => "FINISHED",
        JobState::Failed => "FAILED",
        JobState::Cancelled => "KILLED",
        JobState::Running => "RUNNING",
        _ => "SCHEDULED",
    };
    json!({ "run_id": run, "status": status, "end_time": millis(&job.finished_at) })
}

/// All parameters by their dotted names, in parts that one call takes.
pub(crate) fn params(job: &Job) -> Vec<Value> {
    let spec = serde_json::from_str(&job.spec_json).unwrap_or(Value::Null);
    let mut all = Vec::new();
    flatten("", &spec, &mut all);
    all.chunks(PARAMS_MAX).map(|part| Value::Array(part.to_vec())).collect()
}

fn flatten(before: &str, value: &Value, all: &mut Vec<Value>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                let key = if before.is_empty() { key.clone() } else { format!("{before}.{key}") };
                flatten(&key, value, all);
            }
        }
        Value::Null => {}
        value => {
            let mut text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            text.truncate(
                (0..=VALUE_BYTES_MAX.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0),
            );
            // What belongs to the stage is what people know a parameter by.
            all.push(json!({ "key": before.strip_prefix("stage.").unwrap_or(before), "value": text }));
        }
    }
}

/// Points and final figures, in parts that one call takes; and how many were left out, as they are no numbers.
pub(crate) fn metrics(job: &Job, curves: &[Series]) -> (Vec<Value>, usize) {
    let (mut all, mut left_out) = (Vec::new(), 0);
    let mut push = |name: &str, value: f64, step: u64, at: f64| {
        if value.is_finite() {
            all.push(json!({ "key": name, "value": value, "timestamp": (1000.0 * at) as i64, "step": step }));
        } else {
            left_out += 1;
        }
    };
    let clock = Clock::of(job, curves);
    for curve in curves {
        for (step, value) in curve.steps.iter().zip(&curve.values) {
            push(&curve.name, *value, *step, clock.at(*step));
        }
    }
    for result in &job.results {
        // A figure that is a curve's last point, too, would stand there twice.
        if !curves.iter().any(|curve| curve.name == result.name) {
            push(&result.name, result.value, clock.last, clock.at(clock.last));
        }
    }
    (all.chunks(METRICS_MAX).map(|part| Value::Array(part.to_vec())).collect(), left_out)
}

/// When a step was, about: the time from the job's start to its end, evenly over its steps.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    pub(crate) began: f64,
    ended: f64,
    pub(crate) last: u64,
}

impl Clock {
    pub(crate) fn of(job: &Job, curves: &[Series]) -> Self {
        let seconds = |at| millis(at).map(|millis| millis as f64 / 1000.0);
        let began = seconds(&job.started_at).or_else(|| seconds(&job.created_at)).unwrap_or(0.0);
        let last = curves.iter().filter_map(|curve| curve.steps.last()).copied().max().unwrap_or(0);
        let ended = seconds(&job.finished_at).unwrap_or(began).max(began);
        Self { began, ended, last }
    }

    pub(crate) fn at(self, step: u64) -> f64 {
        match self.last {
            0 => self.began,
            last => self.began + (self.ended - self.began) * (step as f64 / last as f64).min(1.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use tandem_proto::{convert::Timestamp, v1::Scalar};

    use super::*;

    fn job() -> Job {
        let at = |seconds| Some(Timestamp { seconds, nanos: 0 });
        let mut job = Job {
            id: "7".to_owned(),
            name: "encoder".to_owned(),
            owner: "ann".to_owned(),
            started_at: at(100),
            finished_at: at(200),
            spec_json: r#"{"seed": 3, "stage": {"optimizer": {"lr": 0.1}, "note": null, "radii": [1, 2]}}"#.to_owned(),
            results: [("loss", 1.0), ("accuracy", 0.5)]
                .map(|(name, value)| Scalar { name: name.into(), value })
                .to_vec(),
            ..Job::default()
        };
        job.set_state(JobState::Failed);
        job
    }

    #[test]
    fn a_run_has_what_the_job_has() {
        let created = create(&job(), "1");
        assert_eq!((&created["run_name"], &created["start_time"]), (&json!("encoder"), &json!(100_000)));
        assert_eq!(created["tags"][1], json!({ "key": "tandem.job_id", "value": "7" }));
        assert_eq!(end(&job(), "r"), json!({ "run_id": "r", "status": "FAILED", "end_time": 200_000 }));
        let params = params(&job());
        assert_eq!(params[0].as_array().unwrap().len(), 3);
        assert!(
            params[0].as_array().unwrap().contains(&json!({ "key": "optimizer.lr", "value": "0.1" })),
            "{params:?}"
        );
    }

    #[test]
    fn points_come_in_parts_with_times_between_start_and_end_and_what_is_no_number_is_counted() {
        let curve = Series {
            name: "loss".to_owned(),
            steps: (0..=1500).collect(),
            values: (0..=1500).map(|step| if step == 7 { f64::NAN } else { 1.0 }).collect(),
            ..Series::default()
        };
        let (parts, left_out) = metrics(&job(), &[curve]);
        assert_eq!((parts.len(), left_out), (2, 1));
        assert_eq!(parts[0].as_array().unwrap().len(), METRICS_MAX);
        let rest = parts[1].as_array().unwrap();
        assert_eq!(rest.last().unwrap()["key"], "accuracy", "loss stands there as a curve");
        assert_eq!(rest[rest.len() - 2]["timestamp"], 200_000);
        assert_eq!(parts[0][0]["timestamp"], 100_000);
    }
}
