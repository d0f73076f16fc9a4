//! Lists jobs.

use tandem_domain::state::JobState;

use crate::{
    error::Result,
    store::{
        Conn,
        overview::{self, JobRow},
        picks::Filter,
    },
    target::{resolve, scope},
};

/// Rows if the client names no limit, and the most rows.
const LIMIT_DEFAULT: u32 = 100;
const LIMIT_MAX: u32 = 10_000;

pub(crate) fn limited(limit: u32) -> u32 {
    if limit == 0 { LIMIT_DEFAULT } else { limit.min(LIMIT_MAX) }
}

/// Jobs of the newest experiments first; an empty `experiment` means all.
pub(crate) async fn list(
    conn: &mut Conn,
    own: &str,
    experiment: &str,
    states: &[JobState],
    limit: u32,
) -> Result<Vec<JobRow>> {
    let states: Vec<String> = states.iter().map(|state| state.label().to_owned()).collect();
    let target = if experiment.is_empty() { None } else { Some(resolve(conn, experiment, own).await?) };
    let filter = Filter { scope: scope(target.as_ref()), states: &states, limit: limited(limit), ..Filter::default() };
    Ok(overview::list(conn, &filter).await?)
}

/// What has this tag, or is of an experiment that has it, archived or not.
pub(crate) async fn tagged(conn: &mut Conn, tag: &str, states: &[JobState], limit: u32) -> Result<Vec<JobRow>> {
    let states: Vec<String> = states.iter().map(|state| state.label().to_owned()).collect();
    Ok(overview::list(conn, &Filter { tag, states: &states, limit: limited(limit), ..Filter::default() }).await?)
}

/// Queued jobs, the first in line first.
pub(crate) async fn line(conn: &mut Conn, limit: u32) -> Result<Vec<JobRow>> {
    let queued = [JobState::Queued.label().to_owned()];
    let filter = Filter { states: &queued, in_line: true, limit: limited(limit), ..Filter::default() };
    Ok(overview::list(conn, &filter).await?)
}
