//! Why a job waits: its place in the line, who is before it, and when it is expected to start.

use std::{collections::HashMap, sync::Arc};

use tandem_domain::{
    place::{Expected, QueuedJob, Start},
    state::JobState,
};
use uuid::Uuid;

use super::outlook::{Line, Outlooks};
use crate::{
    error::Result,
    store::{Store, dependencies, overview::JobRow},
    target::{self, resolve},
};

/// Jobs that one answer is about.
const JOBS_MAX: usize = 50;
/// Those before a job that are named.
const BEFORE_MAX: usize = 8;

/// Of one job.
#[derive(Debug)]
pub(crate) struct Why {
    pub(crate) job: JobRow,
    /// From 1; 0 if it is in no line.
    pub(crate) place: u32,
    pub(crate) reason: String,
    pub(crate) start: Option<Start>,
    pub(crate) before: Vec<Before>,
}

#[derive(Debug)]
pub(crate) struct Before {
    pub(crate) job: Uuid,
    pub(crate) name: String,
    pub(crate) owner: String,
    pub(crate) why: String,
}

/// Of a job, or of the jobs of an experiment that have not ended.
///
/// # Errors
/// As [`resolve`].
pub(crate) async fn why(store: &Store, outlooks: &Outlooks, text: &str, own: &str) -> Result<(Vec<Why>, Arc<Line>)> {
    let mut conn = store.reader().await?;
    let target = resolve(&mut conn, text, own).await?;
    let rows = target::rows_of(&mut conn, target).await?;
    let several = rows.len() > 1;
    let wanted: Vec<JobRow> =
        rows.into_iter().filter(|row| !several || row.finished_at.is_none()).take(JOBS_MAX).collect();
    let ids: Vec<Uuid> = wanted.iter().map(|row| row.id).collect();
    let waits_for = dependencies::waited_for(&mut conn, &ids).await?;
    drop(conn);
    let line = outlooks.now().await?;
    let mut inputs: HashMap<Uuid, Vec<String>> = HashMap::new();
    for (job, input, state) in waits_for {
        inputs.entry(job).or_default().push(format!("`{input}`, which is {state}"));
    }
    let whys = wanted.into_iter().map(|row| one(row, &line, &inputs)).collect();
    Ok((whys, line))
}

fn one(row: JobRow, line: &Line, inputs: &HashMap<Uuid, Vec<String>>) -> Why {
    let Expected { place, start } = line.expected.get(&row.id).copied().unwrap_or(Expected { place: 0, start: None });
    let state: Option<JobState> = row.state.parse().ok();
    let reason = match (state, inputs.get(&row.id)) {
        (Some(JobState::Blocked), Some(inputs)) => format!("starts from {}", inputs.join(" and ")),
        (Some(JobState::Queued), _) if row.reason.is_empty() => "has just been queued".to_owned(),
        (Some(JobState::Running), _) => running(&row),
        (Some(JobState::Succeeded), _) => "has succeeded".to_owned(),
        _ => row.reason.clone(),
    };
    let before = match line.jobs.iter().position(|job| job.id == row.id) {
        Some(at) => {
            line.jobs[..at].iter().rev().take(BEFORE_MAX).rev().map(|job| before(job, &line.jobs[at], line)).collect()
        }
        None => Vec::new(),
    };
    Why { job: row, place, reason, start, before }
}

fn running(row: &JobRow) -> String {
    match row.seconds_left.filter(|left| *left > 0.0) {
        Some(left) => format!("runs; about {:.0} min left", (left / 60.0).ceil()),
        None => "runs".to_owned(),
    }
}

/// Why `first` is before `job`.
fn before(first: &QueuedJob, job: &QueuedJob, line: &Line) -> Before {
    let hours = |who: &str| line.shares.counted.get(who).copied().unwrap_or(0.0) / 3600.0;
    let why = if first.priority != job.priority {
        format!("priority {} over {}", first.priority, job.priority)
    } else if first.owner == job.owner || first.turn == job.turn {
        "came first".to_owned()
    } else {
        format!(
            "its turn is before: {} has {:.1} device-hours that count, {} has {:.1}",
            first.owner,
            hours(&first.owner),
            job.owner,
            hours(&job.owner)
        )
    };
    Before { job: first.id, name: first.name.clone(), owner: first.owner.clone(), why }
}
