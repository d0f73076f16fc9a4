//! Lists jobs.

use std::collections::HashMap;

use tandem_domain::state::JobState;
use uuid::Uuid;

use super::asked::{self, Found, Question};
use crate::{
    error::Result,
    store::{
        Conn,
        overview::{self, JobRow},
        picks::{Filter, Scope},
    },
    target::{resolve, scope},
};

/// Rows if the client names no limit, and the most rows.
const LIMIT_DEFAULT: u32 = 100;
const LIMIT_MAX: u32 = 10_000;

pub(crate) fn limited(limit: u32) -> u32 {
    if limit == 0 { LIMIT_DEFAULT } else { limit.min(LIMIT_MAX) }
}

/// Jobs of the newest experiments first, and whether there are more; an empty `experiment` means all.
pub(crate) async fn list(
    conn: &mut Conn,
    own: &str,
    experiment: &str,
    states: &[JobState],
    limit: u32,
) -> Result<(Vec<JobRow>, bool)> {
    let states: Vec<String> = states.iter().map(|state| state.label().to_owned()).collect();
    let target = if experiment.is_empty() { None } else { Some(resolve(conn, experiment, own).await?) };
    first(conn, Filter { scope: scope(target.as_ref()), states: &states, ..Filter::default() }, limited(limit)).await
}

/// The jobs that a question of `own` asks for, as they are listed.
pub(crate) async fn find(conn: &mut Conn, own: &str, question: &Question) -> Result<(Vec<JobRow>, Found)> {
    let found = asked::find(conn, own, question).await?;
    let count = u32::try_from(found.ids.len()).unwrap_or(LIMIT_MAX);
    let rows = match count {
        0 => Vec::new(),
        limit => overview::list(conn, &Filter { scope: Scope::Jobs(&found.ids), limit, ..Filter::default() }).await?,
    };
    let mut by_id: HashMap<Uuid, JobRow> = rows.into_iter().map(|row| (row.id, row)).collect();
    let rows = found.ids.iter().filter_map(|id| by_id.remove(id)).collect();
    Ok((rows, found))
}

/// What has this tag, or is of an experiment that has it, archived or not; and whether there is more.
pub(crate) async fn tagged(conn: &mut Conn, tag: &str, states: &[JobState], limit: u32) -> Result<(Vec<JobRow>, bool)> {
    let states: Vec<String> = states.iter().map(|state| state.label().to_owned()).collect();
    first(conn, Filter { tag, states: &states, ..Filter::default() }, limited(limit)).await
}

/// The first jobs, and whether there are more.
async fn first(conn: &mut Conn, filter: Filter<'_>, limit: u32) -> Result<(Vec<JobRow>, bool)> {
    let mut rows = overview::list(conn, &Filter { limit: limit + 1, ..filter }).await?;
    let more = rows.len() > limit as usize;
    rows.truncate(limit as usize);
    Ok((rows, more))
}

/// Queued jobs, the first in line first.
pub(crate) async fn line(conn: &mut Conn, limit: u32) -> Result<Vec<JobRow>> {
    let queued = [JobState::Queued.label().to_owned()];
    let filter = Filter { states: &queued, in_line: true, limit: limited(limit), ..Filter::default() };
    Ok(overview::list(conn, &filter).await?)
}
