//! The queue: who waits, why, and until when.

use askama::Template;
use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{
    super::{
        block::{Block, Part, html},
        place::QUEUE_ROWS,
        text::Text,
        units,
    },
    drawn::Drawn,
    expected::start,
};
use crate::{
    error::Result,
    sharing::outlook::Line,
    store::{
        Conn, jobs,
        page::{WaitingRow, waiting, waiting_of},
    },
};

#[derive(Template)]
#[template(path = "queue.html")]
struct Queue {
    queued: u32,
    blocked: u32,
    first: i64,
    last: i64,
    part: i64,
    has_more: bool,
}

#[derive(Template)]
#[template(path = "queue_job.html")]
struct Waiting {
    place: i64,
    id: Uuid,
    experiment_id: Uuid,
    experiment: Text,
    name: Text,
    owner: Text,
    stage: Text,
    priority: i32,
    workers: String,
    since: String,
    reason: Text,
    expected: String,
}

pub(super) async fn draw(conn: &mut Conn, part: i64, ahead: Option<&Line>, now: DateTime<Utc>) -> Result<Drawn> {
    let counts = jobs::counts(conn).await?;
    let skip = part * QUEUE_ROWS;
    let rows = match next_in_line(ahead, skip) {
        Some(ids) => waiting_of(conn, &ids).await?,
        None => waiting(conn, skip, QUEUE_ROWS).await?,
    };
    let last = skip + i64::try_from(rows.len()).unwrap_or(0);
    let has_more = last < i64::from(counts.queued);
    let mut parts = Vec::with_capacity(rows.len());
    for (place, row) in (skip + 1..).zip(rows) {
        let expected = start(ahead, row.id, now).unwrap_or_else(|| "–".to_owned());
        let waiting = in_words(row, place, expected, now);
        parts.push(Part { id: waiting.id.to_string(), html: html(&waiting)? });
    }
    let queue = Queue { queued: counts.queued, blocked: counts.blocked, first: skip + 1, last, part, has_more };
    let title = Text::line("Queue");
    Ok(Drawn { title: title.clone(), heading: title, blocks: vec![Block::around(&queue, parts)?] })
}

/// Those of this part in the order of their turns, as far as the line was looked at.
fn next_in_line(ahead: Option<&Line>, skip: i64) -> Option<Vec<Uuid>> {
    let line = &ahead?.jobs;
    let rows = usize::try_from(QUEUE_ROWS).ok()?;
    let part = line.get(usize::try_from(skip).ok()?..)?;
    (!part.is_empty()).then(|| part.iter().take(rows).map(|job| job.id).collect())
}

fn in_words(row: WaitingRow, place: i64, expected: String, now: DateTime<Utc>) -> Waiting {
    Waiting {
        place,
        id: row.id,
        experiment_id: row.experiment_id,
        experiment: Text::line(&row.experiment),
        name: Text::line(&row.name),
        owner: Text::line(&row.owner),
        stage: Text::line(&row.stage),
        priority: row.priority,
        workers: workers(row.workers_min, row.workers_max),
        since: units::age(row.queued_at, now),
        reason: Text::line(if row.reason.is_empty() { "not looked at yet" } else { &row.reason }),
        expected,
    }
}

/// `2`, or `1 to 4`.
pub(super) fn workers(min: i32, max: i32) -> String {
    if min == max { min.to_string() } else { format!("{min} to {max}") }
}
