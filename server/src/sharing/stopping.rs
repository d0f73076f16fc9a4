//! Stops what runs, at a checkpoint, because a person wants it to.

use tandem_domain::{place::Stop, state::AttemptState};

use crate::{
    conclude,
    error::Result,
    store::{
        Conn, attempts,
        events::{self, About},
        jobs::LockedJob,
        leases,
    },
};

/// What became of an attempt that somebody wants to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stopping {
    /// There is none.
    None,
    /// It had not begun to train, and has ended.
    Ended,
    /// It trains, and will end at a checkpoint.
    Asked,
    /// It has trained to its end, and what it made is being read back.
    Verifying,
}

/// Asks the attempt of a job, which is locked, to stop.
pub(crate) async fn stop(tx: &mut Conn, job: &LockedJob, reason: &str) -> Result<Stopping> {
    let Some(attempt) = attempts::lock_live(tx, job.id).await? else { return Ok(Stopping::None) };
    match attempt.state {
        AttemptState::Verifying => return Ok(Stopping::Verifying),
        AttemptState::Training => {}
        _ => {
            let leases = leases::lock(tx, attempt.id).await?;
            conclude::end_attempt(tx, &attempt, &leases, AttemptState::Preempted, reason).await?;
            return Ok(Stopping::Ended);
        }
    }
    if attempt.stop.is_none() {
        let stop = Stop { attempt: attempt.id, job: job.id, room_for: None, at_stake: 0.0, reason: reason.to_owned() };
        attempts::ask_stop(tx, &stop).await?;
        events::append(tx, About::attempt(job.id, attempt.id), "asked to stop", reason).await?;
    }
    Ok(Stopping::Asked)
}
