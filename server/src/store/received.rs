//! Which reports of each rank are stored: a report that is sent twice is stored once, and one of a stale worker is not.

use uuid::Uuid;

use super::{Conn, DbResult, column, integer, leases::LeaseHolder, small};

/// Advances the number of the last stored event to `sequence`; returns the number before, or `None` if the worker is
/// stale. The lease is locked until the transaction ends: nobody can take it over meanwhile.
pub(crate) async fn advance(conn: &mut Conn, holder: LeaseHolder, sequence: i64) -> DbResult<Option<i64>> {
    sqlx::query_scalar!(
        "WITH held AS (
             SELECT attempt_id, rank FROM leases
             WHERE attempt_id = $1 AND fence = $2 AND rank = $3 AND worker_id = $4 AND released_at IS NULL
             FOR NO KEY UPDATE
         ), before AS (
             SELECT r.attempt_id, r.rank, r.last_sequence
             FROM held JOIN received r ON r.attempt_id = held.attempt_id AND r.rank = held.rank
             FOR NO KEY UPDATE OF r
         )
         UPDATE received SET last_sequence = GREATEST(before.last_sequence, $5)
         FROM before WHERE received.attempt_id = before.attempt_id AND received.rank = before.rank
         RETURNING before.last_sequence",
        holder.attempt,
        holder.fence,
        integer(holder.rank),
        holder.worker,
        sequence,
    )
    .fetch_optional(conn)
    .await
}

#[derive(Clone, Debug)]
pub(crate) struct Advanced {
    pub(crate) attempt: Uuid,
    pub(crate) rank: u32,
    pub(crate) job: Uuid,
    /// Number of the last event that was stored before.
    pub(crate) before: i64,
}

/// [`advance`] for many reports at once, of attempts in training. Each (attempt, rank) may occur once.
pub(crate) async fn advance_training(conn: &mut Conn, reports: &[(LeaseHolder, i64)]) -> DbResult<Vec<Advanced>> {
    let rows = sqlx::query!(
        "WITH held AS (
             SELECT l.attempt_id, l.rank, report.sequence, a.job_id
             FROM UNNEST($1::uuid[], $2::bigint[], $3::integer[], $4::uuid[], $5::bigint[])
                 AS report (attempt_id, fence, rank, worker_id, sequence)
             JOIN leases l ON l.attempt_id = report.attempt_id AND l.rank = report.rank AND l.fence = report.fence
                          AND l.worker_id = report.worker_id AND l.released_at IS NULL
             JOIN attempts a ON a.id = l.attempt_id AND a.state = 'training'
             ORDER BY l.attempt_id, l.rank FOR NO KEY UPDATE OF l
         ), before AS (
             SELECT r.attempt_id, r.rank, r.last_sequence, held.sequence, held.job_id
             FROM held JOIN received r ON r.attempt_id = held.attempt_id AND r.rank = held.rank
             ORDER BY r.attempt_id, r.rank FOR NO KEY UPDATE OF r
         )
         UPDATE received SET last_sequence = GREATEST(before.last_sequence, before.sequence)
         FROM before WHERE received.attempt_id = before.attempt_id AND received.rank = before.rank
         RETURNING before.attempt_id, before.rank, before.job_id, before.last_sequence",
        &column(reports, |(holder, _)| holder.attempt),
        &column(reports, |(holder, _)| holder.fence),
        &column(reports, |(holder, _)| integer(holder.rank)),
        &column(reports, |(holder, _)| holder.worker),
        &column(reports, |(_, sequence)| *sequence),
    )
    .fetch_all(conn)
    .await?;
    let advanced = rows.into_iter().map(|row| Advanced {
        attempt: row.attempt_id,
        rank: small(row.rank),
        job: row.job_id,
        before: row.last_sequence,
    });
    Ok(advanced.collect())
}
