//! From what is stored to the messages of the wire.

use std::{collections::BTreeSet, str::FromStr};

use tandem_domain::{
    device::Reading,
    place::Start,
    receipt::Difference,
    state::{AttemptState, JobState},
};
use tandem_proto::{convert::timestamp, status::Code, v1};
use tonic::Status;
use uuid::Uuid;

use crate::{
    cancel::Cancelled,
    estimate::TimeEstimate,
    query::{results::NamedCurve, show::Shown},
    receipts::{Again, Answer},
    sharing::{chosen::Changed, outlook::Line, why::Why},
    store::{
        attempts::AttemptRow,
        clean,
        events::EventRow,
        experiments::{Experiment, Submission},
        files::{Artifact, Checkpoint},
        logs::LogRow,
        overview::JobRow,
        receipts::KeyRow,
        reproductions::Replay,
        small,
        summaries::SummaryRow,
        unsigned,
        workers::WorkerRow,
    },
    submit::Submitted,
};

/// The longest remark about a card that is kept, in bytes.
const REMARK_MAX: usize = 500;

/// The wire's number of a state's label. A label that this version does not know was written by a newer one.
fn state<D, W>(label: &str) -> Result<i32, Status>
where
    D: FromStr,
    D::Err: std::fmt::Display,
    W: From<D> + Into<i32>,
{
    let state: D = label.parse().map_err(|error: D::Err| Code::Internal.status(error.to_string()))?;
    Ok(W::from(state).into())
}

fn scalars(names: Vec<String>, values: Vec<f64>) -> Vec<v1::Scalar> {
    names.into_iter().zip(values).map(|(name, value)| v1::Scalar { name, value }).collect()
}

pub(crate) fn job(row: JobRow) -> Result<v1::Job, Status> {
    let progress = row.phase.map(|phase| v1::Progress {
        phase,
        step: unsigned(row.step.unwrap_or(0)),
        steps: unsigned(row.steps.unwrap_or(0)),
        epoch: small(row.epoch.unwrap_or(0)),
        epochs: small(row.epochs.unwrap_or(0)),
        images_per_second: row.images_per_second.unwrap_or(0.0),
        seconds_left: row.seconds_left.unwrap_or(0.0),
        metrics: scalars(row.metric_names, row.metric_values),
    });
    Ok(v1::Job {
        id: row.id.to_string(),
        experiment_id: row.experiment_id.to_string(),
        experiment_name: row.experiment_name,
        name: row.name,
        stage: row.stage,
        state: state::<JobState, v1::JobState>(&row.state)?,
        reason: row.reason,
        owner: row.owner,
        workers_min: small(row.workers_min),
        workers_max: small(row.workers_max),
        shards: small(row.shards),
        attempts: small(row.attempts),
        created_at: Some(timestamp(row.created_at)),
        started_at: row.started_at.map(timestamp),
        finished_at: row.finished_at.map(timestamp),
        progress,
        results: scalars(row.result_names, row.result_values),
        spec_json: row.spec_json,
        content_key: row.content_key,
        depends_on: row.depends_on.iter().map(Uuid::to_string).collect(),
        priority: row.priority,
        max_time: row.longest.map(|seconds| v1::MaxTime {
            seconds,
            trained_seconds: row.trained.unwrap_or(0.0),
            by_policy: row.is_longest_by_policy,
        }),
        tags: row.tags,
        note: row.note_text.map(|text| v1::Note {
            text,
            who: row.note_who.unwrap_or_default(),
            at: row.note_at.map(timestamp),
        }),
    })
}

pub(crate) fn jobs(rows: Vec<JobRow>) -> Result<Vec<v1::Job>, Status> {
    rows.into_iter().map(job).collect()
}

pub(crate) fn submitted(submitted: Submitted) -> v1::SubmitResponse {
    let jobs = submitted.jobs.into_iter().map(|job| {
        let TimeEstimate { seconds, basis } = job.time;
        v1::PlannedJob {
            job_id: job.id.map(|id| id.to_string()).unwrap_or_default(),
            reused: job.reused.is_some(),
            reused_state: job.reused.map_or(0, |state| v1::JobState::from(state).into()),
            estimate: Some(v1::Estimate { seconds, basis, ..job.planned.estimate.into() }),
            ..(&job.planned).into()
        }
    });
    v1::SubmitResponse {
        experiment_id: submitted.experiment.map(|id| id.to_string()).unwrap_or_default(),
        name: submitted.name,
        jobs: jobs.collect(),
        priority: submitted.priority,
        notes: submitted.notes,
    }
}

pub(crate) fn submission(submission: Submission) -> v1::Submission {
    v1::Submission { id: submission.id.to_string(), name: submission.name, owner: submission.owner }
}

pub(crate) fn summary(row: SummaryRow) -> v1::ExperimentSummary {
    let number = |count: i64| u32::try_from(count).unwrap_or(u32::MAX);
    v1::ExperimentSummary {
        id: row.id.to_string(),
        name: row.name,
        owner: row.owner,
        created_at: Some(timestamp(row.created_at)),
        blocked: number(row.blocked),
        queued: number(row.queued),
        running: number(row.running),
        succeeded: number(row.succeeded),
        failed: number(row.failed),
        cancelled: number(row.cancelled),
        best: row.best_name.zip(row.best).map(|(name, value)| v1::Scalar { name, value }),
        best_job: row.best_job.unwrap_or_default(),
        tags: row.tags,
        archived: row.is_archived,
    }
}

pub(crate) fn cancelled(cancelled: Cancelled) -> Result<v1::CancelResponse, Status> {
    let shared = cancelled.shared.into_iter().map(|job| v1::SharedJob {
        job_id: job.id.to_string(),
        name: job.name,
        cancelled: job.cancelled,
        wanted_by: job.wanted_by.into_iter().map(submission).collect(),
    });
    Ok(v1::CancelResponse { cancelled: jobs(cancelled.jobs)?, shared: shared.collect() })
}

pub(crate) fn changed(changed: Changed) -> Result<v1::ChangedResponse, Status> {
    Ok(v1::ChangedResponse { changed: jobs(changed.jobs)?, notes: changed.notes })
}

pub(crate) fn whys(whys: Vec<Why>, line: &Line) -> Result<v1::WhyResponse, Status> {
    let in_line = u32::try_from(line.jobs.len()).unwrap_or(u32::MAX);
    let one = |why: Why| {
        let before = why.before.into_iter().map(|before| v1::Before {
            job_id: before.job.to_string(),
            name: before.name,
            owner: before.owner,
            why: before.why,
        });
        Ok(v1::Why {
            job: Some(job(why.job)?),
            place: why.place,
            line: in_line,
            reason: why.reason,
            start: why.start.map(start),
            before: before.collect(),
        })
    };
    Ok(v1::WhyResponse {
        jobs: whys.into_iter().map(one).collect::<Result<_, Status>>()?,
        shares: shares(line),
        policy_version: unsigned(line.version),
        at: Some(timestamp(line.at)),
        wrong_by: line.wrong_by.0,
        shown_by: small(i32::try_from(line.wrong_by.1).unwrap_or(i32::MAX)),
    })
}

pub(crate) fn start(start: Start) -> v1::Start {
    v1::Start { at: Some(timestamp(start.at)), early: Some(timestamp(start.early)), late: Some(timestamp(start.late)) }
}

/// Of all that have something in line, or are running, who has used least first.
fn shares(line: &Line) -> Vec<v1::Share> {
    let waiting = line.jobs.iter().map(|job| &job.owner);
    let running = line.shares.used.iter().filter(|(_, used)| used.devices > 0).map(|(who, _)| who);
    let people: BTreeSet<&String> = waiting.chain(running).collect();
    let mut shares: Vec<v1::Share> = people
        .into_iter()
        .map(|who| {
            let used = line.shares.used.get(who).copied().unwrap_or_default();
            v1::Share {
                person: who.clone(),
                device_hours: line.shares.counted.get(who).copied().unwrap_or(0.0) / 3600.0,
                weight: line.house.fair_share.weight(who),
                running_devices: used.devices,
                in_line: u32::try_from(line.jobs.iter().filter(|job| job.owner == *who).count()).unwrap_or(u32::MAX),
                device_hours_this_week: used.this_week / 3600.0,
            }
        })
        .collect();
    shares.sort_by(|a, b| (a.device_hours / a.weight).total_cmp(&(b.device_hours / b.weight)));
    shares
}

fn attempt(row: AttemptRow) -> Result<v1::Attempt, Status> {
    Ok(v1::Attempt {
        id: row.id.to_string(),
        number: small(row.number),
        fence: row.fence,
        state: state::<AttemptState, v1::AttemptState>(&row.state)?,
        cause: row.cause,
        assigned_at: Some(timestamp(row.assigned_at)),
        training_at: row.training_at.map(timestamp),
        ended_at: row.ended_at.map(timestamp),
        workers: row.workers,
        first_step: unsigned(row.first_step),
    })
}

fn event(job: Uuid, row: EventRow) -> v1::Event {
    v1::Event {
        at: Some(timestamp(row.at)),
        kind: row.kind,
        message: row.message,
        job_id: job.to_string(),
        attempt: small(row.attempt.unwrap_or(0)),
        worker: row.worker.unwrap_or_default(),
    }
}

pub(crate) fn artifact(artifact: Artifact) -> v1::Artifact {
    v1::Artifact {
        id: artifact.id.to_string(),
        job_id: artifact.job_id.to_string(),
        kind: artifact.kind,
        name: artifact.name,
        bytes: unsigned(artifact.bytes),
        sha256: artifact.sha256,
        uri: artifact.uri,
    }
}

pub(crate) fn receipt(job: Uuid, answer: Answer) -> v1::ReceiptResponse {
    let difference = |one: Difference| v1::ReceiptDifference { field: one.field, signed: one.signed, now: one.now };
    v1::ReceiptResponse {
        job_id: job.to_string(),
        job_name: answer.name,
        envelope: answer.envelope,
        key: answer.key,
        model_signature: answer.model_signature,
        house_key: answer.house_key,
        differences: answer.differences.into_iter().map(difference).collect(),
    }
}

pub(crate) fn again(again: Again) -> v1::ReproduceResponse {
    let (from_step, until_step) = again.replayed.map_or((0, 0), |steps| (steps.from_step, steps.until_step));
    v1::ReproduceResponse {
        job_id: again.job.to_string(),
        experiment: again.name,
        of_id: again.of.to_string(),
        already: again.already,
        from_step,
        until_step,
    }
}

pub(crate) fn replay(replay: Replay) -> v1::Replay {
    v1::Replay { until_step: unsigned(replay.until), model: replay.model.map(artifact) }
}

pub(crate) fn receipt_key(key: KeyRow) -> v1::ReceiptKey {
    v1::ReceiptKey { id: key.id, pem: key.pem, since: Some(timestamp(key.since)) }
}

pub(crate) fn checkpoint(checkpoint: Checkpoint) -> v1::Checkpoint {
    v1::Checkpoint {
        step: unsigned(checkpoint.step),
        bytes: unsigned(checkpoint.bytes),
        sha256: checkpoint.sha256,
        path: checkpoint.path,
        at: Some(timestamp(checkpoint.at)),
        removed: false,
    }
}

fn experiment(experiment: Experiment) -> v1::Experiment {
    v1::Experiment {
        id: experiment.id.to_string(),
        name: experiment.name,
        owner: experiment.owner,
        created_at: Some(timestamp(experiment.created_at)),
        toml: experiment.toml,
        ..v1::Experiment::default()
    }
}

pub(crate) fn shown(shown: Shown) -> Result<v1::ShowResponse, Status> {
    let labels = shown.labels;
    let note = labels.note.map(|note| v1::Note { text: note.text, who: note.who, at: Some(timestamp(note.at)) });
    let archived = shown.is_archived;
    let mut response = v1::ShowResponse {
        experiment: Some(v1::Experiment { tags: labels.tags, note, archived, ..experiment(shown.experiment) }),
        jobs: jobs(shown.jobs)?,
        artifacts: shown.artifacts.into_iter().map(artifact).collect(),
        ..Default::default()
    };
    if let Some(detail) = shown.detail {
        response.attempts = detail.attempts.into_iter().map(attempt).collect::<Result<_, _>>()?;
        response.events = detail.events.into_iter().map(|row| event(detail.job, row)).collect();
        let with_end =
            |one: Checkpoint| v1::Checkpoint { removed: !detail.kept.contains(&one.step), ..checkpoint(one) };
        response.checkpoints = detail.checkpoints.into_iter().map(with_end).collect();
    }
    Ok(response)
}

pub(crate) fn log_line(row: LogRow) -> v1::LogLine {
    v1::LogLine {
        at: Some(timestamp(row.at)),
        attempt: small(row.attempt),
        rank: small(row.rank),
        line: row.line,
        job_name: row.job_name,
        sequence: unsigned(row.sequence),
    }
}

pub(crate) fn series(named: NamedCurve) -> v1::Series {
    v1::Series {
        job_id: named.curve.job.to_string(),
        job_name: named.job_name,
        name: named.curve.name,
        count: named.count as u64,
        steps: named.curve.steps.into_iter().map(unsigned).collect(),
        values: named.curve.values,
    }
}

pub(crate) fn worker(row: WorkerRow) -> v1::Worker {
    let state = match (row.state.as_str(), row.job_id) {
        ("ready", None) if !row.unfit.is_empty() => v1::WorkerState::Unfit,
        ("ready", None) if row.quarantined_until.is_some() => v1::WorkerState::Quarantined,
        ("ready", None) if row.drained_at.is_some() => v1::WorkerState::Drained,
        ("ready", None) if row.held_until.is_some() => v1::WorkerState::Held,
        ("ready", None) if !row.withheld.is_empty() => v1::WorkerState::InUse,
        ("ready", None) => v1::WorkerState::Idle,
        ("ready", Some(_)) => v1::WorkerState::Busy,
        ("draining", _) => v1::WorkerState::Draining,
        ("gone", _) => v1::WorkerState::Gone,
        _ => v1::WorkerState::Lost,
    };
    let datasets = row.announced().datasets.into_iter().map(v1::Dataset::from);
    v1::Worker {
        datasets: datasets.collect(),
        unfit: row.unfit,
        withheld: row.withheld,
        id: row.id.to_string(),
        name: row.name,
        host: row.host,
        state: state.into(),
        device: Some(v1::Device {
            kind: row.device_kind,
            index: small(row.device_index),
            name: row.device_name,
            uuid: row.device_uuid,
            memory_bytes: unsigned(row.memory_bytes),
            cores: small(row.cores),
            driver: row.driver,
        }),
        last_seen: Some(timestamp(row.last_seen)),
        job_id: row.job_id.map(|id| id.to_string()).unwrap_or_default(),
        job_name: row.job_name.unwrap_or_default(),
        rank: small(row.rank.unwrap_or(0)),
        experiment: row.experiment.unwrap_or_default(),
        owner: row.owner.unwrap_or_default(),
        busy_since: row.busy_since.map(timestamp),
        seconds_left: row.seconds_left.unwrap_or(0.0),
        facts: row.facts.map(|facts| facts_from_json(&facts)),
        quarantine_reason: row.quarantined_until.map(|_| row.quarantine_reason).unwrap_or_default(),
        quarantined_until: row.quarantined_until.map(timestamp),
        hold: row.held_until.map(|until| v1::Withheld {
            by: row.held_by,
            reason: row.hold_reason,
            until: Some(timestamp(until)),
        }),
        drain: row.drained_at.map(|_| v1::Withheld { by: row.drained_by, reason: row.drain_reason, until: None }),
    }
}

/// The JSON form in the database, readable in psql: null is not known.
pub(crate) fn facts_to_json(facts: &v1::DeviceFacts) -> serde_json::Value {
    serde_json::json!({
        "utilization_percent": facts.utilization_percent,
        "memory_used_bytes": facts.memory_used_bytes,
        "temperature_celsius": facts.temperature_celsius,
        "power_watts": facts.power_watts,
        "foreign_processes": facts.foreign_processes,
        "remark": clean(facts.remark.get(..facts.remark.floor_char_boundary(REMARK_MAX)).unwrap_or_default()),
    })
}

/// What a heartbeat said that can be: a card that is broken says such things, and so may whoever plays a worker.
pub(crate) fn facts_from_json(facts: &serde_json::Value) -> v1::DeviceFacts {
    let number = |key: &str| facts.get(key).and_then(serde_json::Value::as_u64);
    let small = |key: &str| number(key).and_then(|figure| u32::try_from(figure).ok());
    let said = Reading {
        utilization_percent: small("utilization_percent"),
        memory_used: number("memory_used_bytes"),
        temperature_celsius: small("temperature_celsius"),
        power_watts: small("power_watts"),
        ..Reading::default()
    };
    let known = said.checked();
    v1::DeviceFacts {
        utilization_percent: known.utilization_percent,
        memory_used_bytes: known.memory_used,
        temperature_celsius: known.temperature_celsius,
        power_watts: known.power_watts,
        foreign_processes: small("foreign_processes"),
        remark: facts.get("remark").and_then(serde_json::Value::as_str).unwrap_or_default().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_survive_the_database() {
        let facts = v1::DeviceFacts {
            utilization_percent: Some(97),
            memory_used_bytes: Some(9 << 30),
            temperature_celsius: Some(71),
            power_watts: Some(240),
            foreign_processes: Some(2),
            remark: "its driver is odd".to_owned(),
        };
        assert_eq!(facts_from_json(&facts_to_json(&facts)), facts);
        let unknown = v1::DeviceFacts { temperature_celsius: Some(0), ..v1::DeviceFacts::default() };
        assert_eq!(facts_from_json(&facts_to_json(&unknown)), unknown, "not known is no 0, and 0 is known");
        let lies = v1::DeviceFacts {
            utilization_percent: Some(900),
            memory_used_bytes: Some(u64::MAX),
            remark: "\0".repeat(10_000),
            ..unknown.clone()
        };
        let kept = facts_from_json(&facts_to_json(&lies));
        assert!(kept.remark.len() <= REMARK_MAX * 3 && !kept.remark.contains('\0'), "{kept:?}");
        assert_eq!(v1::DeviceFacts { remark: String::new(), ..kept }, unknown);
    }

    #[test]
    fn an_unknown_label_is_our_fault() {
        assert_eq!(state::<JobState, v1::JobState>("queued").unwrap(), v1::JobState::Queued as i32);
        assert_eq!(state::<JobState, v1::JobState>("sleeping").unwrap_err().code(), tonic::Code::Internal);
    }
}
