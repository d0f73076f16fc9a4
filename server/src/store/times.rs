//! How long jobs may train, over all their attempts, and how long they have.

use std::{collections::HashMap, time::Duration};

use tandem_domain::policy::HousePolicy;
use uuid::Uuid;

use super::{Conn, DbResult, policies, rows::Statement};

/// Of one job.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct JobTime {
    /// Whose policy counts.
    pub(crate) owner: String,
    /// The longest that those who want it ask for; `None` if one of them sets no end.
    pub(crate) asked: Option<Duration>,
    pub(crate) trained: Duration,
    /// What of these and the policy is the least.
    pub(crate) longest: Option<Duration>,
}

impl JobTime {
    /// How long it may still train, in seconds, negative once that is over.
    pub(crate) fn left(&self) -> Option<f64> {
        Some(self.longest?.as_secs_f64() - self.trained.as_secs_f64())
    }

    /// Seconds until its end, if that is expected in so many. 0 says that nobody knows.
    pub(crate) fn ends_by(&self, expected: Option<f64>) -> Option<f64> {
        let left = self.left().filter(|left| *left > 0.0);
        expected.map(|seconds| left.map_or(seconds, |left| seconds.min(left)))
    }
}

/// Of those of these jobs that have an end, by the policy or of their own.
pub(crate) async fn of(conn: &mut Conn, ids: &[Uuid], house: &HousePolicy) -> DbResult<HashMap<Uuid, JobTime>> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = sqlx::query!(
        r#"SELECT j.id, j.owner, j.max_seconds,
                  COALESCE(sum(EXTRACT(epoch FROM COALESCE(a.ended_at, clock_timestamp()) - a.training_at)), 0)::float8 AS "trained!"
           FROM jobs j LEFT JOIN attempts a ON a.job_id = j.id AND a.training_at IS NOT NULL
           WHERE j.id = ANY($1) AND (j.max_seconds IS NOT NULL OR $2) GROUP BY j.id"#,
        ids,
        house.has_max_time(),
    )
    .fetch_all(conn)
    .await?;
    let time = rows.into_iter().map(|row| {
        let span = |seconds: f64| Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX);
        let (asked, trained) = (row.max_seconds.map(span), span(row.trained));
        let longest = house.limits_of(&row.owner).longest(asked);
        (row.id, JobTime { owner: row.owner, asked, trained, longest })
    });
    Ok(time.collect())
}

/// The same by the policy in force.
pub(crate) async fn now(conn: &mut Conn, ids: &[Uuid]) -> DbResult<HashMap<Uuid, JobTime>> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let (_, house) = policies::current(&mut *conn).await?;
    of(conn, ids, &house).await
}

pub(crate) async fn trained(conn: &mut Conn, id: Uuid) -> DbResult<Duration> {
    let seconds = sqlx::query_scalar!(
        r#"SELECT COALESCE(sum(EXTRACT(epoch FROM COALESCE(ended_at, clock_timestamp()) - training_at)), 0)::float8 AS "seconds!"
           FROM attempts WHERE job_id = $1 AND training_at IS NOT NULL"#,
        id
    )
    .fetch_one(conn)
    .await?;
    Ok(Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX))
}

/// Somebody else wants a job for so long, or to its end: who wants it longest counts.
pub(crate) async fn share(conn: &mut Conn, id: Uuid, asked: Option<f64>) -> DbResult<()> {
    sqlx::query!(
        "UPDATE jobs SET max_seconds = CASE WHEN $2::float8 IS NOT NULL THEN GREATEST(max_seconds, $2) END
         WHERE id = $1 AND finished_at IS NULL AND max_seconds IS NOT NULL AND ($2::float8 IS NULL OR max_seconds < $2)",
        id,
        asked,
    )
    .run_any(conn)
    .await
}

pub(crate) async fn set(conn: &mut Conn, ids: &[Uuid], asked: Duration) -> DbResult<()> {
    sqlx::query!("UPDATE jobs SET max_seconds = $2 WHERE id = ANY($1)", ids, asked.as_secs_f64()).run_any(conn).await
}
