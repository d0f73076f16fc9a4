//! Chooses what draws a page, and for whom.

use chrono::{DateTime, Utc};
use tandem_domain::access::{PersonRole, identity::Person};

use super::{
    super::place::Place,
    devices,
    drawn::{Drawn, Rights, absent},
    experiment, experiments, job, people, queue, results,
};
use crate::{
    error::Result,
    sharing::outlook::Line,
    store::{Conn, experiments as rows},
};

/// # Errors
/// `NotFound` for a job or an experiment that is not there.
pub(crate) async fn rights(conn: &mut Conn, place: &Place, who: &Person) -> Result<Rights> {
    let change = match place {
        Place::Experiment(id) => {
            let experiment = rows::get(conn, *id).await?.ok_or_else(|| absent("experiment"))?;
            who.may_change(&experiment.owner)
        }
        Place::Job(id) => {
            who.is_admin() || (who.role >= PersonRole::Submitter && rows::has_wanted(conn, &who.name, *id).await?)
        }
        _ => false,
    };
    // Of devices people hold some for themselves. A reader, and an admin, may do the same whoever they are.
    let depends = *place == Place::Box && who.role == PersonRole::Submitter;
    let name = if depends { who.name.clone() } else { String::new() };
    Ok(Rights { role: who.role, name, change })
}

/// `ahead` is what is expected of those that wait, for pages that show it ([`Place::looks_ahead`]).
///
/// # Errors
/// As [`rights`].
pub(crate) async fn draw(
    conn: &mut Conn,
    place: &Place,
    rights: &Rights,
    ahead: Option<&Line>,
    now: DateTime<Utc>,
) -> Result<Drawn> {
    match place {
        Place::Box => devices::draw(conn, rights, now).await,
        Place::Queue { part } => queue::draw(conn, *part, ahead, now).await,
        Place::Experiments(chosen) => experiments::draw(conn, chosen, now).await,
        Place::Experiment(id) => experiment::draw(conn, *id, rights, now).await,
        Place::Job(id) => job::draw(conn, *id, rights, ahead, now).await,
        Place::Results(sorted) => results::draw(conn, sorted, now).await,
        Place::People => people::draw(conn, rights, now).await,
    }
}
