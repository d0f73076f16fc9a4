//! From `tandem submit` to the first step of both ranks, on a box with nothing else to do, and the coordinator's part of
//! it, both read from the job's events.

use std::time::Duration;

use anyhow::{Context, Result};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Run;
use crate::local::{LocalBox, wait_until};
use crate::row::{Goal, Row, Unit};
use crate::stats::Summary;

const LIMIT: Duration = Duration::from_secs(60);

/// One submit: milliseconds from the start of the command to each event.
#[derive(Clone, Copy, Debug, Serialize)]
struct Journey {
    /// Stored by the coordinator.
    submitted: f64,
    /// Placed on both workers.
    assigned: f64,
    /// On its way to them.
    dispatched: f64,
    /// The ranks have met, the data are there, the first step begins.
    training: f64,
}

impl Journey {
    fn coordinator(self) -> f64 {
        self.dispatched - self.submitted
    }
}

pub(crate) fn measure(run: &Run) -> Result<Vec<Row>> {
    let local = LocalBox::start(&run.bin_dir)?;
    // The first finds cold caches of files and is not counted.
    let journeys: Vec<Journey> = (0..=run.pairs).map(|seed| journey(&local, seed)).skip(1).collect::<Result<_>>()?;
    let middle = |value: fn(&Journey) -> f64| {
        let values: Vec<f64> = journeys.iter().map(value).collect();
        Summary::of(&values).context("nothing was measured")
    };
    let seconds: Vec<f64> = journeys.iter().map(|journey| journey.training / 1e3).collect();
    let note = format!(
        "stored after {:.0} ms, placed after {:.0}, sent to both workers after {:.0}",
        middle(|journey| journey.submitted)?.median,
        middle(|journey| journey.assigned)?.median,
        middle(|journey| journey.dispatched)?.median,
    );
    Ok(vec![
        Row {
            name: "submit/total".into(),
            what: "`tandem submit` to the first step of two ranks".into(),
            goal: Goal::AtMost(3.0),
            unit: Unit::Seconds,
            value: Summary::of(&seconds).context("nothing was measured")?,
            void: None,
            note,
            raw: json!(journeys),
        },
        Row {
            name: "submit/coordinator".into(),
            what: "of which the coordinator's part".into(),
            goal: Goal::AtMost(100.0),
            unit: Unit::Milliseconds,
            value: middle(|journey| journey.coordinator())?,
            void: None,
            note: "from its having the file to both workers' assignments".into(),
            raw: json!(journeys),
        },
    ])
}

fn experiment(seed: usize) -> String {
    format!(
        r#"name = "bench-{seed}"
dataset = "shapes"
seed = {seed}
workers = 2
shards = 2

[jobs.encoder]
stage = "contrastive"
encoder = "resnet-tiny"
epochs = 100
batch_size = 256
head = {{ hidden = 128, output = 64 }}
optimizer = {{ name = "sgd", lr = 0.3, warmup_epochs = 1 }}
"#
    )
}

#[derive(Deserialize)]
struct Submitted {
    jobs: Vec<SubmittedJob>,
}

#[derive(Deserialize)]
struct SubmittedJob {
    id: String,
}

#[derive(Deserialize)]
struct Shown {
    events: Vec<Event>,
}

#[derive(Clone, Debug, Deserialize)]
struct Event {
    at: DateTime<Utc>,
    kind: String,
}

fn journey(local: &LocalBox, seed: usize) -> Result<Journey> {
    let file = local.home().join(format!("bench-{seed}.toml"));
    std::fs::write(&file, experiment(seed))?;
    let start = Utc::now();
    let submitted: Submitted = local.ask(&["submit", &file.to_string_lossy(), "--fresh"])?;
    let job = &submitted.jobs.first().context("the experiment has one job")?.id;
    let mut events = Vec::new();
    wait_until("the job trains", LIMIT, || {
        events = local.ask::<Shown>(&["show", job])?.events;
        Ok(events.iter().any(|event| event.kind == "training"))
    })?;
    local.ask::<serde_json::Value>(&["cancel", job])?;
    wait_until("both workers are idle again", LIMIT, || local.idle_workers().map(|idle| idle == 2))?;
    timeline(&events, start)
}

/// The last of several events of a kind counts: one for each worker that an assignment goes to.
fn timeline(events: &[Event], start: DateTime<Utc>) -> Result<Journey> {
    let after = |kind: &str| -> Result<f64> {
        let at = events.iter().filter(|event| event.kind == kind).map(|event| event.at).max();
        let at = at.with_context(|| format!("the job has no event `{kind}` among {events:?}"))?;
        Ok((at - start).as_seconds_f64() * 1e3)
    };
    Ok(Journey {
        submitted: after("submitted")?,
        assigned: after("assigned")?,
        dispatched: after("dispatched")?,
        training: after("training")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(kind: &str, milliseconds: i64) -> Event {
        Event { at: DateTime::from_timestamp_millis(milliseconds).unwrap(), kind: kind.into() }
    }

    #[test]
    fn the_coordinators_part_ends_when_the_last_worker_has_its_assignment() {
        let start = DateTime::from_timestamp_millis(1000).unwrap();
        let mut events = vec![event("submitted", 1020), event("assigned", 1030), event("dispatched", 1035)];
        events.extend([event("dispatched", 1050), event("training", 2500)]);
        let journey = timeline(&events, start).unwrap();
        assert_eq!((journey.coordinator(), journey.training), (30.0, 1500.0));
        assert!(timeline(&events[..3], start).is_err());
    }
}
