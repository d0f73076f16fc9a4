//! Attempts: one execution of a job by a gang, and its fence.

use chrono::{DateTime, Utc};
use tandem_domain::state::{AttemptEvent, AttemptState};
use uuid::Uuid;

use super::{Conn, Stored, integer, parse, small};

/// A new attempt: assigned, with the next fence.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NewAttempt {
    pub(crate) id: Uuid,
    pub(crate) number: u32,
    pub(crate) fence: i64,
}

pub(crate) async fn insert(conn: &mut Conn, id: Uuid, job: Uuid, term: i64, world_size: u32) -> Stored<NewAttempt> {
    let row = sqlx::query!(
        "INSERT INTO attempts (id, job_id, number, leader_term, world_size)
         SELECT $1, $2, COALESCE(max(number), 0) + 1, $3, $4 FROM attempts WHERE job_id = $2
         RETURNING number, fence",
        id,
        job,
        term,
        integer(world_size),
    )
    .fetch_one(conn)
    .await?;
    Ok(NewAttempt { id, number: small(row.number), fence: row.fence })
}

/// A row that nobody else changes until the transaction ends.
#[derive(Clone, Debug)]
pub(crate) struct LockedAttempt {
    pub(crate) id: Uuid,
    pub(crate) job: Uuid,
    pub(crate) number: u32,
    pub(crate) fence: i64,
    pub(crate) state: AttemptState,
}

/// The job of an attempt, without a lock: to lock the job first.
pub(crate) async fn job_of(conn: &mut Conn, id: Uuid) -> Stored<Option<Uuid>> {
    sqlx::query_scalar!("SELECT job_id FROM attempts WHERE id = $1", id).fetch_optional(conn).await
}

pub(crate) async fn lock(conn: &mut Conn, id: Uuid) -> Stored<Option<LockedAttempt>> {
    let row = sqlx::query!(
        r#"SELECT id, job_id, number, fence, state::text AS "state!" FROM attempts WHERE id = $1 FOR NO KEY UPDATE"#,
        id
    )
    .fetch_optional(conn)
    .await?;
    row.map(|row| {
        let (number, state) = (small(row.number), parse(&row.state)?);
        Ok(LockedAttempt { id: row.id, job: row.job_id, number, fence: row.fence, state })
    })
    .transpose()
}

/// The live attempt of a job, locked.
pub(crate) async fn lock_live(conn: &mut Conn, job: Uuid) -> Stored<Option<LockedAttempt>> {
    let id = sqlx::query_scalar!(
        "SELECT id FROM attempts WHERE job_id = $1 AND state IN ('assigned', 'starting', 'training')",
        job
    )
    .fetch_optional(&mut *conn)
    .await?;
    match id {
        Some(id) => lock(conn, id).await,
        None => Ok(None),
    }
}

/// Moves an attempt on; the new state, or `None` if the event changes nothing or does not fit.
pub(crate) async fn transition(
    conn: &mut Conn,
    attempt: &LockedAttempt,
    event: AttemptEvent,
    cause: &str,
) -> Stored<Option<AttemptState>> {
    let Ok(to) = attempt.state.after(event) else { return Ok(None) };
    if to == attempt.state {
        return Ok(None);
    }
    let moved = sqlx::query!(
        "UPDATE attempts SET
             state = $4::text::attempt_state,
             cause = $5,
             starting_at = COALESCE(starting_at, CASE WHEN $4::text = 'starting' THEN clock_timestamp() END),
             training_at = COALESCE(training_at, CASE WHEN $4::text = 'training' THEN clock_timestamp() END),
             ended_at = CASE WHEN $6 THEN clock_timestamp() END
         WHERE id = $1 AND fence = $2 AND state = $3::text::attempt_state",
        attempt.id,
        attempt.fence,
        attempt.state.label(),
        to.label(),
        cause,
        to.is_ended(),
    )
    .execute(conn)
    .await?;
    Ok((moved.rows_affected() == 1).then_some(to))
}

/// Step that training began at, as its ranks say.
pub(crate) async fn set_first_step(conn: &mut Conn, attempt: &LockedAttempt, step: i64) -> Stored<()> {
    sqlx::query!("UPDATE attempts SET first_step = $3 WHERE id = $1 AND fence = $2", attempt.id, attempt.fence, step)
        .execute(conn)
        .await?;
    Ok(())
}

/// Where the ranks meet, as the worker of rank 0 says; `false` if it has no say any more.
pub(crate) async fn set_rendezvous(
    conn: &mut Conn,
    id: Uuid,
    fence: i64,
    worker: Uuid,
    host: &str,
    port: u16,
) -> Stored<bool> {
    let set = sqlx::query!(
        "UPDATE attempts SET rendezvous_host = $4, rendezvous_port = $5
         WHERE id = $1 AND fence = $2 AND state IN ('assigned', 'starting', 'training')
           AND EXISTS (SELECT FROM leases l WHERE l.attempt_id = attempts.id AND l.rank = 0 AND l.worker_id = $3
                                              AND l.released_at IS NULL)",
        id,
        fence,
        worker,
        host,
        i32::from(port),
    )
    .execute(conn)
    .await?;
    Ok(set.rows_affected() == 1)
}

/// How many attempts of a job were lost so far.
pub(crate) async fn lost_count(conn: &mut Conn, job: Uuid) -> Stored<u32> {
    let count = sqlx::query_scalar!(
        r#"SELECT count(*)::integer AS "count!" FROM attempts WHERE job_id = $1 AND state = 'lost'"#,
        job
    )
    .fetch_one(conn)
    .await?;
    Ok(small(count))
}

/// An attempt as people see it.
#[derive(Clone, Debug)]
pub(crate) struct AttemptRow {
    pub(crate) id: Uuid,
    pub(crate) number: i32,
    pub(crate) fence: i64,
    pub(crate) state: String,
    pub(crate) cause: String,
    pub(crate) assigned_at: DateTime<Utc>,
    pub(crate) training_at: Option<DateTime<Utc>>,
    pub(crate) ended_at: Option<DateTime<Utc>>,
    pub(crate) first_step: i64,
    /// Names by rank.
    pub(crate) workers: Vec<String>,
}

pub(crate) async fn of_job(conn: &mut Conn, job: Uuid) -> Stored<Vec<AttemptRow>> {
    sqlx::query_as!(
        AttemptRow,
        r#"SELECT a.id, a.number, a.fence, a.state::text AS "state!", a.cause, a.assigned_at, a.training_at, a.ended_at,
                  a.first_step,
                  ARRAY(SELECT w.name FROM leases l JOIN workers w ON w.id = l.worker_id
                        WHERE l.attempt_id = a.id ORDER BY l.rank) AS "workers!"
           FROM attempts a WHERE a.job_id = $1 ORDER BY a.number"#,
        job
    )
    .fetch_all(conn)
    .await
}
