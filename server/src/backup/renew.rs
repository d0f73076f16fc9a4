//! A house that was loaded becomes another one: what was given out before counts no more.

use chrono::{DateTime, Utc};
use tandem_domain::state::AttemptState;

use super::failed::Failed;
use crate::{
    conclude::move_job,
    error::Result,
    store::{
        Conn, attempts,
        audit::{self, Entry},
        events::{self, About},
        house::{self, House},
        jobs, load, measures, renewal,
    },
};

/// The next fence is at least so far above all that were seen: the former house may have given out more since.
const FENCE_GAP: i64 = 1_000_000;

/// What came of it.
pub(super) struct Renewed {
    pub(super) house: House,
    pub(super) fence: i64,
    pub(super) ended: u64,
    pub(super) revoked: u64,
}

/// The last step, in the caller's transaction: after it the database is a house that may be started. `backup_at` is when the backup was
/// taken, `fence` the greatest in the name of a file.
pub(super) async fn renew(
    tx: &mut Conn,
    backup_at: DateTime<Utc>,
    fence: i64,
    keep_tokens: bool,
) -> std::result::Result<Renewed, Failed> {
    let house = house::become_another(tx, backup_at).await?;
    let fence = above(fence.max(renewal::highest_fence(tx).await?));
    renewal::lift_fence(tx, fence).await?;
    renewal::forget_the_moment(tx).await?;
    let ended = end_attempts(tx, backup_at).await?;
    let revoked = renewal::revoke_tokens(tx, !keep_tokens).await?;
    let entry = Entry {
        who: "tandem-server restore".to_owned(),
        origin: "the database".to_owned(),
        what: "restore".to_owned(),
        object: house.id.to_string(),
        outcome: format!("done, from a backup of {}", backup_at.format("%F %T UTC")),
        ..Entry::default()
    };
    audit::append(tx, &[entry]).await?;
    load::unmark(tx).await?;
    Ok(Renewed { house, fence, ended, revoked })
}

/// Their jobs go on from their checkpoints, as after a stop that was asked for; what was wanted of them holds on.
async fn end_attempts(tx: &mut Conn, backup_at: DateTime<Utc>) -> Result<u64> {
    let cause = format!("the house was restored from a backup of {}", backup_at.format("%F %R UTC"));
    let mut running = Vec::new();
    for id in renewal::running_attempts(tx).await? {
        running.extend(attempts::lock(tx, id).await?);
    }
    // While the attempts still run: only so is it known which leases were of ranks that were stopped.
    renewal::end_leases(tx, backup_at, &cause).await?;
    for attempt in &running {
        if !renewal::end_attempt(tx, attempt, backup_at, &cause).await? {
            continue;
        }
        measures::stop_progress(tx, attempt.job).await?;
        let message = format!("attempt {} {}: {cause}", attempt.number, AttemptState::Preempted);
        events::append(tx, About::attempt(attempt.job, attempt.id), "attempt ended", &message).await?;
        if let Some(job) = jobs::lock(tx, &[attempt.job]).await?.pop() {
            move_job(tx, &job, attempt, AttemptState::Preempted, &cause).await?;
        }
    }
    Ok(running.len() as u64)
}

/// A round number, so that everybody sees where the new house begins.
fn above(highest: i64) -> i64 {
    (highest.max(0) / FENCE_GAP).saturating_add(2).saturating_mul(FENCE_GAP)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_new_fence_leaves_room_for_what_the_former_house_gave_out_since() {
        assert_eq!((above(0), above(17), above(999_999)), (2_000_000, 2_000_000, 2_000_000));
        assert_eq!((above(2_000_003), above(-1)), (4_000_000, 2_000_000));
        assert!((0..5_000_000).step_by(1234).all(|highest| above(highest) - highest >= FENCE_GAP));
    }
}
