//! Whether somebody may store more.

use tandem_domain::policy::Limits;

use crate::{
    error::{Error, Result},
    store::{Conn, stored, unsigned},
};

/// The largest jobs that are named to who has too much.
const NAMED: usize = 3;

/// # Errors
/// `Refused` if the jobs of `who` take more of the store than the policy allows, with what to delete.
pub(crate) async fn check(conn: &mut Conn, limits: &Limits, who: &str) -> Result<()> {
    if limits.stored_bytes().is_none() {
        return Ok(());
    }
    more(conn, limits, who, 0).await
}

/// The same for who is about to store so many bytes.
pub(crate) async fn more(conn: &mut Conn, limits: &Limits, who: &str, bytes: u64) -> Result<()> {
    let bytes = unsigned(stored::of(conn, who).await?).saturating_add(bytes);
    let Err(why) = limits.may_store(who, bytes) else { return Ok(()) };
    let largest = stored::largest(conn, who).await?;
    let largest: Vec<String> = (largest.iter().take(NAMED))
        .map(|job| {
            let gb = (job.artifacts + job.checkpoints) as f64 / 1e9;
            format!("{}/{} ({gb:.1} GB)", job.experiment, job.name)
        })
        .collect();
    Err(Error::Refused(format!("{why}; the largest: {}", largest.join(", "))))
}
