//! From `tandem submit` to the first step of both ranks, in a cluster with nothing else to do, and the coordinator's part
//! of it. Both are read from the job's events.

use std::time::Duration;

use anyhow::{Context, Result};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tandem_harness::Cluster;

use crate::row::{Goal, Row, Unit};
use crate::settings::Settings;
use crate::stats::Summary;
use crate::wait::wait_until;

const LIMIT: Duration = Duration::from_secs(60);

/// One submit: milliseconds from the start of the command to each event.
#[derive(Clone, Copy, Debug, Serialize)]
struct Timeline {
    /// Stored by the coordinator.
    submitted: f64,
    /// Placed on both workers.
    assigned: f64,
    /// Sent to them.
    dispatched: f64,
    /// The ranks have formed their group and loaded the data; the first step begins.
    training: f64,
}

impl Timeline {
    fn coordinator(self) -> f64 {
        self.dispatched - self.submitted
    }
}

pub(crate) fn measure(settings: &Settings) -> Result<Vec<Row>> {
    let cluster = Cluster::of(&settings.binaries()?, 2, &[])?;
    // The first reads files that are not cached yet, and is not counted.
    let timelines: Vec<Timeline> =
        (0..=settings.pairs).map(|seed| submit(&cluster, seed)).skip(1).collect::<Result<_>>()?;
    let median = |value: fn(&Timeline) -> f64| {
        let values: Vec<f64> = timelines.iter().map(value).collect();
        Summary::of(&values).context("nothing was measured")
    };
    let seconds: Vec<f64> = timelines.iter().map(|timeline| timeline.training / 1e3).collect();
    let note = format!(
        "stored after {:.0} ms, placed after {:.0}, sent to both workers after {:.0}",
        median(|timeline| timeline.submitted)?.median,
        median(|timeline| timeline.assigned)?.median,
        median(|timeline| timeline.dispatched)?.median,
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
            raw: json!(timelines),
        },
        Row {
            name: "submit/coordinator".into(),
            what: "of which the coordinator's part".into(),
            goal: Goal::AtMost(100.0),
            unit: Unit::Milliseconds,
            value: median(|timeline| timeline.coordinator())?,
            void: None,
            note: "from its having the file to both workers' assignments".into(),
            raw: json!(timelines),
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

fn submit(cluster: &Cluster, seed: usize) -> Result<Timeline> {
    let file = cluster.folder().join(format!("bench-{seed}.toml"));
    std::fs::write(&file, experiment(seed))?;
    let start = Utc::now();
    let submitted: Submitted = cluster.query(&["submit", &file.to_string_lossy(), "--fresh"])?;
    let job = &submitted.jobs.first().context("the experiment has one job")?.id;
    let mut events = Vec::new();
    wait_until("the job trains", LIMIT, || {
        events = cluster.query::<Shown>(&["show", job])?.events;
        Ok(events.iter().any(|event| event.kind == "training").then_some(()))
    })?;
    cluster.query::<serde_json::Value>(&["cancel", job])?;
    wait_until("both workers are idle again", LIMIT, || Ok((cluster.idle_workers()? == 2).then_some(())))?;
    timeline_of(&events, start)
}

/// Of several events of a kind the last counts: there is one for each worker that gets an assignment.
fn timeline_of(events: &[Event], start: DateTime<Utc>) -> Result<Timeline> {
    let after = |kind: &str| -> Result<f64> {
        let at = events.iter().filter(|event| event.kind == kind).map(|event| event.at).max();
        let at = at.with_context(|| format!("the job has no event `{kind}` among {events:?}"))?;
        Ok((at - start).as_seconds_f64() * 1e3)
    };
    Ok(Timeline {
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
        let timeline = timeline_of(&events, start).unwrap();
        assert_eq!((timeline.coordinator(), timeline.training), (30.0, 1500.0));
        assert!(timeline_of(&events[..3], start).is_err());
    }
}
