//! One step of one kind.

use super::{
    checkpoints,
    cursor::Cursor,
    experiments, points,
    round::{By, Cleaned, Round},
};
use crate::{
    error::Result,
    sharing::policy,
    store::{Store, jobs},
};

/// One step, and where the next one begins.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) what: &'static str,
    pub(crate) cleaned: Cleaned,
    /// `None`: this was the last one.
    pub(crate) next: Option<Cursor>,
    pub(crate) policy_version: i64,
}

/// One step by the policy in force and the database's time.
///
/// # Errors
/// If the database is away.
pub(crate) async fn step(store: &Store, cursor: Cursor, by: By<'_>) -> Result<Step> {
    let (version, house, now) = {
        let mut conn = store.reader().await?;
        let (version, house) = policy::current(&mut conn).await?;
        (version, house, jobs::now(&mut conn).await?)
    };
    let round = Round { store, house, now, by };
    let (cleaned, next) = match cursor {
        Cursor::Checkpoints(after) => checkpoints::step(&round, after).await?,
        Cursor::Points(after, job) => points::step(&round, (after, job)).await?,
        Cursor::Archive(at, id) => experiments::archive(&round, (at, id)).await?,
        Cursor::Delete { archived, at, id } => experiments::delete(&round, archived, (at, id)).await?,
    };
    let next = next.or_else(|| cursor.next_kind());
    Ok(Step { what: cursor.what(), cleaned, next, policy_version: version })
}
