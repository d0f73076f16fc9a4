//! Sorts the events of a report by the table that they are stored in. Pure.

use std::path::Path;

use chrono::{DateTime, TimeDelta, Utc};
use tandem_domain::receipt::Environment;
use tandem_proto::{
    convert,
    v1::{self, rank_event::Event},
};
use uuid::Uuid;

use crate::{
    store::{
        clean,
        files::{Artifact, Checkpoint},
        integer,
        logs::Line,
        measures::LatestProgress,
        points::Point,
        signed,
    },
    store_path::path_in_store,
};

/// The phase in which a rank makes steps.
pub(crate) const TRAINING: &str = "training";

/// The longest text that is stored: a log line, a note, a cause.
pub(crate) const TEXT_BYTES_MAX: usize = 8 * 1024;
/// The longest name that is stored. Names are in indices, whose rows Postgres bounds.
pub(crate) const NAME_BYTES_MAX: usize = 200;
/// The longest path of a file.
const PATH_BYTES_MAX: usize = 4096;

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Phase {
    pub(crate) name: String,
    pub(crate) first_step: i64,
    pub(crate) at: DateTime<Utc>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Note {
    pub(crate) kind: String,
    pub(crate) message: String,
    pub(crate) at: DateTime<Utc>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ResultValue {
    pub(crate) name: String,
    pub(crate) value: f64,
    pub(crate) at: DateTime<Utc>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Batch {
    pub(crate) phases: Vec<Phase>,
    pub(crate) notes: Vec<Note>,
    /// The newest progress event.
    pub(crate) latest: Option<LatestProgress>,
    pub(crate) points: Vec<Point>,
    pub(crate) results: Vec<ResultValue>,
    pub(crate) checkpoints: Vec<Checkpoint>,
    /// Their `job_id` is nil: the caller knows the job.
    pub(crate) artifacts: Vec<Artifact>,
    pub(crate) lines: Vec<Line>,
    pub(crate) environment: Option<Environment>,
}

impl Batch {
    /// Whether the rank is in training, by its phase or by its metrics.
    pub(crate) fn trains(&self) -> bool {
        self.phases.iter().any(|phase| phase.name == TRAINING) || !self.points.is_empty()
    }
}

/// Sorts the events of one rank. Invalid ones become notes: a refused report would be sent again for ever.
pub(crate) fn sort<'e>(events: impl Iterator<Item = &'e v1::RankEvent>, rank: u32, root: &Path) -> Batch {
    let mut batch = Batch::default();
    for event in events {
        let at = convert::moment("at", event.at).map_or_else(|_| Utc::now(), plausible);
        let Some(kind) = &event.event else { continue };
        if let Err(problem) = batch.add(kind, signed(event.sequence), at, root) {
            let message = short(&format!("rank {rank}: {problem}; refused"), TEXT_BYTES_MAX);
            batch.notes.push(Note { kind: "refused".to_owned(), message, at });
        }
    }
    batch
}

impl Batch {
    fn add(&mut self, event: &Event, sequence: i64, at: DateTime<Utc>, root: &Path) -> Result<(), String> {
        match event {
            Event::Phase(phase) => {
                let (name, first_step) = (named("phase", &phase.name)?, signed(phase.first_step));
                self.phases.push(Phase { name, first_step, at });
            }
            Event::Progress(progress) => self.latest = Some(latest_progress(progress)),
            Event::Metric(metric) => {
                let (name, step) = (named("metric", &metric.name)?, signed(metric.step));
                self.points.push(Point { name, step, value: metric.value, at });
            }
            Event::Result(result) => {
                self.results.push(ResultValue { name: named("result", &result.name)?, value: result.value, at });
            }
            Event::Checkpoint(checkpoint) => self.checkpoints.push(Checkpoint {
                step: signed(checkpoint.step),
                path: stored_path(&checkpoint.path, root)?,
                sha256: short(&checkpoint.sha256, NAME_BYTES_MAX),
                state_sha256: short(&checkpoint.state_sha256, NAME_BYTES_MAX),
                bytes: signed(checkpoint.bytes),
                at,
            }),
            Event::Artifact(artifact) => {
                let path = stored_path(&artifact.uri, root);
                self.artifacts.push(Artifact {
                    id: Uuid::new_v4(),
                    job_id: Uuid::nil(),
                    kind: named("artifact", &artifact.kind)?,
                    name: named("artifact", &artifact.name)?,
                    // A wrong one is kept: reading it back fails, where one that is left out would not be missed.
                    uri: path.clone().unwrap_or_else(|_| short(&artifact.uri, PATH_BYTES_MAX)),
                    sha256: short(&artifact.sha256, NAME_BYTES_MAX),
                    bytes: signed(artifact.bytes),
                    at,
                });
                path?;
            }
            Event::Environment(environment) => self.environment = Some(environment.as_ref().into()),
            Event::Log(log) => self.lines.push(Line { sequence, at, line: short(&log.line, TEXT_BYTES_MAX) }),
            Event::Note(note) => {
                self.notes.push(Note {
                    kind: named("note", &note.kind)?,
                    message: short(&note.message, TEXT_BYTES_MAX),
                    at,
                });
            }
        }
        Ok(())
    }
}

fn latest_progress(progress: &v1::ProgressEvent) -> LatestProgress {
    let finite = |value: f64| if value.is_finite() { value.max(0.0) } else { 0.0 };
    LatestProgress {
        step: signed(progress.step),
        steps: signed(progress.steps),
        epoch: integer(progress.epoch),
        epochs: integer(progress.epochs),
        images_per_second: finite(progress.images_per_second),
        // It becomes an interval in Postgres: a century at most.
        seconds_left: finite(progress.seconds_left).min(3e9),
    }
}

fn named(what: &str, name: &str) -> Result<String, String> {
    if name.is_empty() { Err(format!("a {what} without a name")) } else { Ok(short(name, NAME_BYTES_MAX)) }
}

fn stored_path(path: &str, root: &Path) -> Result<String, String> {
    if path.len() > PATH_BYTES_MAX {
        return Err(format!("a path of {} bytes; expected at most {PATH_BYTES_MAX}", path.len()));
    }
    path_in_store(&clean(path), root)
}

/// The time of an event, as a rank's clock has it: within what Postgres stores, and what a clock may say.
fn plausible(at: DateTime<Utc>) -> DateTime<Utc> {
    at.clamp(DateTime::UNIX_EPOCH, Utc::now() + TimeDelta::days(366))
}

/// Text that Postgres stores, cut at `bytes`.
pub(crate) fn short(text: &str, bytes: usize) -> String {
    let end = text.floor_char_boundary(bytes);
    clean(&text[..end])
}

#[cfg(test)]
mod tests {
    use tandem_proto::v1::MetricEvent;

    use super::*;

    fn sorted(events: Vec<Event>) -> Batch {
        let events: Vec<_> = (1..)
            .zip(events)
            .map(|(sequence, event)| v1::RankEvent {
                sequence,
                at: Some(convert::timestamp(Utc::now())),
                event: Some(event),
            })
            .collect();
        sort(events.iter(), 1, Path::new("/srv/store"))
    }

    #[test]
    fn only_the_newest_progress_counts() {
        let progress = |step| Event::Progress(v1::ProgressEvent { step, seconds_left: f64::NAN, ..Default::default() });
        let latest = sorted(vec![progress(3), progress(4)]).latest.unwrap();
        assert_eq!((latest.step, latest.seconds_left), (4, 0.0));
    }

    #[test]
    fn text_that_postgres_refuses_is_made_fit() {
        let line = format!("a\0b{}", "é".repeat(TEXT_BYTES_MAX));
        let batch = sorted(vec![Event::Log(v1::LogEvent { line })]);
        assert!(batch.lines[0].line.starts_with("a\u{fffd}b") && batch.lines[0].line.len() < TEXT_BYTES_MAX + 8);
    }

    #[test]
    fn a_file_outside_the_store_is_noted_and_kept_to_fail_when_it_is_read_back() {
        let artifact = |uri: &str| {
            let (kind, name, uri) = ("encoder".to_owned(), "e.safetensors".to_owned(), uri.to_owned());
            Event::Artifact(v1::ArtifactEvent { kind, name, uri, ..Default::default() })
        };
        let batch = sorted(vec![artifact("/etc/passwd"), artifact("/srv/store/jobs/7/e.safetensors")]);
        let uris: Vec<&str> = batch.artifacts.iter().map(|artifact| artifact.uri.as_str()).collect();
        assert_eq!(uris, ["/etc/passwd", "jobs/7/e.safetensors"]);
        assert_eq!(batch.notes[0].kind, "refused");
        assert!(
            batch.notes[0].message.contains("rank 1: `/etc/passwd` is not in the store"),
            "{}",
            batch.notes[0].message
        );
    }

    #[test]
    fn names_and_times_fit_into_an_index_and_a_timestamp() {
        let name = "é".repeat(4000);
        let metric = Event::Metric(MetricEvent { name: name.clone(), step: 1, value: 1.0 });
        let result = Event::Result(v1::ResultEvent { name: name.clone(), value: 1.0 });
        let (kind, uri) = (name.clone(), "jobs/7/a".to_owned());
        let artifact = Event::Artifact(v1::ArtifactEvent { kind, name, uri, ..Default::default() });
        let batch = sorted(vec![metric, result, artifact]);
        let names = [&batch.points[0].name, &batch.results[0].name, &batch.artifacts[0].kind, &batch.artifacts[0].name];
        assert!(names.iter().all(|name| name.len() == NAME_BYTES_MAX), "{names:?}");
        let long = v1::CheckpointEvent { path: "x/".repeat(1 << 20), ..Default::default() };
        let notes = sorted(vec![Event::Checkpoint(long)]).notes;
        assert!(notes[0].message.contains("a path of 2097152 bytes"), "{}", notes[0].message);

        let at = |seconds| {
            let at = tandem_proto::convert::timestamp(DateTime::from_timestamp(seconds, 0).unwrap());
            let line = Event::Log(v1::LogEvent { line: String::new() });
            let events = [v1::RankEvent { sequence: 1, at: Some(at), event: Some(line) }];
            sort(events.iter(), 0, Path::new("")).lines[0].at
        };
        assert_eq!(at(-300_000_000_000), DateTime::UNIX_EPOCH);
        assert!(at(8_000_000_000_000) < Utc::now() + TimeDelta::days(400));
    }

    #[test]
    fn training_shows() {
        let phase = |name: &str| Event::Phase(v1::PhaseEvent { name: name.to_owned(), first_step: 0 });
        assert!(!sorted(vec![phase("started"), phase("data")]).trains());
        assert!(sorted(vec![phase("training")]).trains());
        assert!(sorted(vec![Event::Metric(v1::MetricEvent { name: "loss".to_owned(), step: 1, value: 2.0 })]).trains());
    }
}
