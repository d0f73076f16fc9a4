//! Log lines of ranks.
//!
//! Reports of one rank are stored in order, those of different ranks in any order. So a reader that follows keeps a
//! position for each rank ([`RankLog`]) and misses no line that is committed late.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Conn, DbResult, column, integer, rows::Statement, small};

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Line {
    pub(crate) sequence: i64,
    pub(crate) at: DateTime<Utc>,
    pub(crate) line: String,
}

/// Stores lines with their attempts and ranks.
pub(crate) async fn insert(conn: &mut Conn, lines: &[(Uuid, u32, Line)]) -> DbResult<()> {
    if lines.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "INSERT INTO logs (attempt_id, rank, sequence, at, line)
         SELECT * FROM UNNEST($1::uuid[], $2::integer[], $3::bigint[], $4::timestamptz[], $5::text[])
         ON CONFLICT (attempt_id, rank, sequence) DO NOTHING",
        &column(lines, |(attempt, _, _)| *attempt),
        &column(lines, |(_, rank, _)| integer(*rank)),
        &column(lines, |(_, _, line)| line.sequence),
        &column(lines, |(_, _, line)| line.at),
        &column(lines, |(_, _, line)| line.line.as_str()) as &[&str],
    )
    .run_any(conn)
    .await
}

#[derive(Clone, Debug)]
pub(crate) struct LogRow {
    pub(crate) attempt_id: Uuid,
    pub(crate) attempt: i32,
    pub(crate) rank: i32,
    pub(crate) sequence: i64,
    pub(crate) at: DateTime<Utc>,
    pub(crate) line: String,
    pub(crate) job_name: String,
}

/// The log of one rank of one attempt. A reader's position in it is the sequence number of the last line read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct RankLog {
    pub(crate) attempt: Uuid,
    pub(crate) rank: u32,
}

/// How many logs of ranks these jobs have.
pub(crate) async fn count_ranks(conn: &mut Conn, jobs: &[Uuid]) -> DbResult<i64> {
    sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM attempts a JOIN leases l ON l.attempt_id = a.id WHERE a.job_id = ANY($1)"#,
        jobs
    )
    .fetch_one(conn)
    .await
}

/// The next lines after these positions, at most `per_rank` of each rank, one rank after the other.
pub(crate) async fn after(
    conn: &mut Conn,
    jobs: &[Uuid],
    cursors: &[(RankLog, i64)],
    per_rank: i64,
) -> DbResult<Vec<LogRow>> {
    sqlx::query_as!(
        LogRow,
        r#"SELECT a.id AS attempt_id, a.number AS attempt, l.rank, line.sequence, line.at, line.line,
                  j.name AS job_name
           FROM attempts a
           JOIN jobs j ON j.id = a.job_id
           JOIN leases l ON l.attempt_id = a.id
           LEFT JOIN UNNEST($2::uuid[], $3::integer[], $4::bigint[]) AS place (attempt_id, rank, sequence)
             ON place.attempt_id = a.id AND place.rank = l.rank
           CROSS JOIN LATERAL (
               SELECT logs.sequence, logs.at, logs.line FROM logs
               WHERE logs.attempt_id = a.id AND logs.rank = l.rank AND logs.sequence > COALESCE(place.sequence, 0)
               ORDER BY logs.sequence LIMIT $5
           ) line
           WHERE a.job_id = ANY($1)
           ORDER BY a.fence, l.rank, line.sequence"#,
        jobs,
        &column(cursors, |(log, _)| log.attempt),
        &column(cursors, |(log, _)| integer(log.rank)),
        &column(cursors, |(_, sequence)| *sequence),
        per_rank,
    )
    .fetch_all(conn)
    .await
}

/// The positions to begin at to read about the last `lines` lines.
pub(crate) async fn tail(conn: &mut Conn, jobs: &[Uuid], lines: i64) -> DbResult<Vec<(RankLog, i64)>> {
    let rows = sqlx::query!(
        r#"WITH newest AS (
               SELECT line.attempt_id, line.rank, line.sequence
               FROM attempts a
               JOIN leases l ON l.attempt_id = a.id
               CROSS JOIN LATERAL (
                   SELECT logs.attempt_id, logs.rank, logs.sequence, logs.at FROM logs
                   WHERE logs.attempt_id = a.id AND logs.rank = l.rank ORDER BY logs.sequence DESC LIMIT $2
               ) line
               WHERE a.job_id = ANY($1)
               ORDER BY line.at DESC, a.fence DESC, line.rank DESC, line.sequence DESC LIMIT $2
           )
           SELECT l.attempt_id, l.rank,
                  COALESCE((SELECT min(newest.sequence) - 1 FROM newest
                            WHERE newest.attempt_id = l.attempt_id AND newest.rank = l.rank),
                           r.last_sequence) AS "sequence!"
           FROM attempts a JOIN leases l ON l.attempt_id = a.id
           JOIN received r ON r.attempt_id = l.attempt_id AND r.rank = l.rank
           WHERE a.job_id = ANY($1)"#,
        jobs,
        lines,
    )
    .fetch_all(conn)
    .await?;
    let cursors = rows.into_iter().map(|row| {
        let log = RankLog { attempt: row.attempt_id, rank: small(row.rank) };
        (log, row.sequence)
    });
    Ok(cursors.collect())
}
