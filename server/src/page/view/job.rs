//! A job: its curves while it runs and after it has ended, what happened, and what it left.

use askama::Template;
use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{
    super::{
        block::{Block, Part, html},
        text::Text,
        units,
    },
    attempts::{self, Attempt, Event, File, Saved},
    chart::{Chart, Last, POINTS, charts},
    drawn::{Drawn, Rights, absent},
    expected::start,
    queue::workers,
    results::figures,
    state::{self, State},
};
use crate::{
    error::Result,
    query::show::show_found,
    sharing::{outlook::Line, policy},
    store::{
        Conn, jobs,
        logs::{self, RankLog},
        overview::JobRow,
        page::curves,
        small,
        targets::Target,
    },
};

const LOG_LINES: i64 = 200;
const EVENTS: usize = 200;

#[derive(Template)]
#[template(path = "job_head.html")]
struct Head {
    id: Uuid,
    experiment_id: Uuid,
    experiment: Text,
    owner: Text,
    stage: Text,
    state: State,
    is_over: bool,
    reason: Text,
    expected: Option<String>,
    phase: Text,
    progress: Option<Progress>,
    workers: String,
    priority: i32,
    least_priority: i32,
    most_priority: i32,
    submitted: String,
    took: String,
    figures: Vec<(Text, String)>,
    may_change: bool,
    may_pause: bool,
    may_resume: bool,
    /// It failed or was cancelled.
    may_requeue: bool,
}

struct Progress {
    percent: u64,
    epochs: String,
    steps: String,
    speed: String,
    left: String,
}

#[derive(Template)]
#[template(path = "job_curves.html")]
struct Curves {
    rest: Vec<Last>,
    is_empty: bool,
    is_over: bool,
}

#[derive(Template)]
#[template(path = "job_curve.html")]
struct OneCurve {
    chart: Chart,
}

#[derive(Template)]
#[template(path = "job_story.html")]
struct Story {
    attempts: Vec<Attempt>,
    events: Vec<Event>,
    left_out: usize,
}

#[derive(Template)]
#[template(path = "job_log.html")]
struct Log {
    text: Text,
    is_cut: bool,
}

#[derive(Template)]
#[template(path = "job_left.html")]
struct Left {
    files: Vec<File>,
    saved: Vec<Saved>,
}

#[derive(Template)]
#[template(path = "job_spec.html")]
struct Spec {
    parameters: Vec<(Text, Text)>,
    content_key: Text,
}

pub(super) async fn draw(
    conn: &mut Conn,
    id: Uuid,
    rights: &Rights,
    ahead: Option<&Line>,
    now: DateTime<Utc>,
) -> Result<Drawn> {
    let known = jobs::states(conn, &[id]).await?;
    if known.is_empty() {
        return Err(absent("job"));
    }
    let shown = show_found(conn, Target::Job(id), "this job").await?;
    let (Some(row), Some(detail)) = (shown.jobs.first(), &shown.detail) else { return Err(absent("job")) };
    let curves = curves(conn, id, POINTS).await?;
    let (charts, rest) = charts(&curves)?;
    let expected = if row.state == "queued" { start(ahead, id, now) } else { None };
    let log = log(conn, id).await?;
    let (_, house) = policy::current(conn).await?;
    let head = head(row, rights, house.priorities_of(rights.role), expected, now);
    let table = Curves { rest, is_empty: charts.is_empty(), is_over: head.is_over };
    let part = |chart: Chart| {
        let id = chart.id.clone();
        Ok(Part { id, html: html(&OneCurve { chart })? })
    };
    let parts = charts.into_iter().map(part).collect::<Result<Vec<_>>>()?;
    let story = Story {
        attempts: detail.attempts.iter().rev().map(|row| attempts::attempt(row, now)).collect(),
        events: detail.events.iter().rev().take(EVENTS).map(attempts::event).collect(),
        left_out: detail.events.len().saturating_sub(EVENTS),
    };
    let left = Left {
        files: shown.artifacts.iter().map(attempts::file).collect(),
        saved: detail.checkpoints.iter().filter(|one| detail.kept.contains(&one.step)).map(attempts::saved).collect(),
    };
    let name = format!("{}/{}", row.experiment_name, row.name);
    Ok(Drawn {
        title: Text::line(&name),
        heading: Text::line(&name),
        blocks: vec![
            Block::whole(&head)?,
            Block::around(&table, parts)?,
            Block::whole(&story)?,
            Block::whole(&log)?,
            Block::whole(&left)?,
            Block::whole(&spec(row))?,
        ],
    })
}

fn head(row: &JobRow, rights: &Rights, priorities: (i32, i32), expected: Option<String>, now: DateTime<Utc>) -> Head {
    let is_over = row.finished_at.is_some();
    let took = row.started_at.map(|began| (row.finished_at.unwrap_or(now) - began).num_seconds().max(0) as f64);
    Head {
        id: row.id,
        experiment_id: row.experiment_id,
        experiment: Text::line(&row.experiment_name),
        owner: Text::line(&row.owner),
        stage: Text::line(&row.stage),
        state: state::of_job(&row.state),
        is_over,
        reason: Text::line(&row.reason),
        expected,
        phase: Text::line(row.phase.as_deref().unwrap_or_default()),
        progress: progress(row),
        workers: workers(row.workers_min, row.workers_max),
        priority: row.priority,
        // One that an admin has given stays until somebody gives another.
        least_priority: priorities.0.min(row.priority),
        most_priority: priorities.1.max(row.priority),
        submitted: units::moment(row.created_at),
        took: took.map(if is_over { units::duration } else { units::coarse }).unwrap_or_default(),
        figures: figures(row, ""),
        may_change: rights.change && !is_over,
        may_pause: rights.change && matches!(row.state.as_str(), "blocked" | "queued" | "running"),
        may_resume: rights.change && row.state == "paused",
        may_requeue: rights.change && matches!(row.state.as_str(), "failed" | "cancelled"),
    }
}

fn progress(row: &JobRow) -> Option<Progress> {
    let (step, steps) = (row.step?.max(0), row.steps?);
    if steps <= 0 {
        return None;
    }
    let speed = row.images_per_second.filter(|speed| *speed > 0.0);
    Some(Progress {
        percent: (step.min(steps) as f64 / steps as f64 * 100.0) as u64,
        epochs: match (row.epoch, row.epochs) {
            (Some(epoch), Some(epochs)) if epochs > 0 => format!("epoch {epoch} of {epochs}"),
            _ => String::new(),
        },
        steps: format!("step {step} of {steps}"),
        speed: speed.map(|speed| format!("{speed:.0} images/s")).unwrap_or_default(),
        left: row.seconds_left.filter(|left| *left > 0.0).map(units::coarse).unwrap_or_default(),
    })
}

/// The last lines of all ranks, in order of time.
async fn log(conn: &mut Conn, id: Uuid) -> Result<Log> {
    let cursors: Vec<(RankLog, i64)> = logs::tail(conn, &[id], LOG_LINES).await?;
    let mut rows = logs::after(conn, &[id], &cursors, LOG_LINES).await?;
    rows.sort_by_key(|row| row.at);
    let skip = rows.len().saturating_sub(LOG_LINES as usize);
    let many = rows.iter().any(|row| row.rank > 0);
    let lines: Vec<String> = rows[skip..]
        .iter()
        .map(|row| {
            let rank = if many { format!(" [{}]", small(row.rank)) } else { String::new() };
            format!("{}{rank} {}\n", row.at.format("%H:%M:%S"), Text::line(&row.line))
        })
        .collect();
    let is_cut = skip > 0 || cursors.iter().any(|(_, sequence)| *sequence > 0);
    Ok(Log { text: Text::lines(&lines.concat()), is_cut })
}

/// What training is told, one line for each: nested ones by their path.
fn spec(row: &JobRow) -> Spec {
    let mut parameters = Vec::new();
    if let Ok(spec) = serde_json::from_str(&row.spec_json) {
        flatten("", &spec, &mut parameters);
    }
    Spec { parameters, content_key: Text::line(&row.content_key) }
}

fn flatten(path: &str, value: &serde_json::Value, into: &mut Vec<(Text, Text)>) {
    match value {
        serde_json::Value::Object(map) if !map.is_empty() => {
            for (key, value) in map {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                flatten(&path, value, into);
            }
        }
        serde_json::Value::Null => {}
        serde_json::Value::String(text) => into.push((Text::line(path), Text::line(text))),
        other => into.push((Text::line(path), Text::line(&other.to_string()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_told_by_their_paths() {
        let mut told = Vec::new();
        let spec = serde_json::json!({ "stage": { "name": "attack", "none": null }, "seeds": [1, 2] });
        flatten("", &spec, &mut told);
        let told: Vec<String> = told.iter().map(|(key, value)| format!("{key}={value}")).collect();
        assert_eq!(told, ["seeds=[1,2]", "stage.name=attack"]);
    }
}
