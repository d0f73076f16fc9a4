//! The outbox of messages. `now` is an argument, so that a day of tries passes in a moment of a test.

use chrono::{DateTime, TimeDelta, Utc};
use tandem_domain::telling::{
    PENDING_OF_ONE,
    retry::{KEPT_DAYS, Next, claimed_until},
};
use uuid::Uuid;

use super::{
    Conn, DbResult, column,
    rows::{RowsChanged, Statement},
};

/// A message to one target.
#[derive(Clone, Debug)]
pub(crate) struct NewTell {
    pub(crate) event: String,
    pub(crate) target: String,
    pub(crate) message: serde_json::Value,
}

/// Puts messages into the outbox, those aside that are there already or find it full; returns how many were put.
pub(crate) async fn put(conn: &mut Conn, now: DateTime<Utc>, tells: &[NewTell]) -> DbResult<u64> {
    if tells.is_empty() {
        return Ok(0);
    }
    let ids: Vec<Uuid> = tells.iter().map(|_| Uuid::now_v7()).collect();
    let put = sqlx::query!(
        "INSERT INTO tells (id, event, target_id, message, next_try, made_at)
         SELECT new.id, new.event, t.id, new.message, $5, $5
         FROM UNNEST($1::uuid[], $2::text[], $3::text[], $4::jsonb[]) AS new (id, event, target_id, message)
         -- Not for one that was removed just now.
         JOIN notify_targets t ON t.id = new.target_id
         WHERE (SELECT count(*) FROM tells before WHERE before.target_id = t.id AND before.state = 'pending') < $6
         ON CONFLICT (event, target_id) DO NOTHING",
        &ids,
        &column(tells, |tell| tell.event.as_str()) as &[&str],
        &column(tells, |tell| tell.target.as_str()) as &[&str],
        &column(tells, |tell| tell.message.clone()),
        now,
        PENDING_OF_ONE,
    )
    .run(conn)
    .await?;
    Ok(put.count())
}

/// A message that is being tried.
#[derive(Clone, Debug)]
pub(crate) struct Claimed {
    pub(crate) id: Uuid,
    pub(crate) target: String,
    pub(crate) kind: String,
    pub(crate) address: String,
    pub(crate) secret: String,
    pub(crate) message: serde_json::Value,
    /// This one included.
    pub(crate) tries: i32,
    pub(crate) now: DateTime<Utc>,
}

/// Claims what is due, the oldest for each target, for one try: nobody else tries it meanwhile, not even another leader.
pub(crate) async fn claim(conn: &mut Conn, now: DateTime<Utc>, limit: i64) -> DbResult<Vec<Claimed>> {
    sqlx::query_as!(
        Claimed,
        r#"WITH due AS (
               SELECT DISTINCT ON (target_id) p.id FROM tells p JOIN notify_targets of ON of.id = p.target_id
               WHERE p.state = 'pending' AND p.next_try <= $1
               -- Who was disabled is told nothing more.
               AND NOT EXISTS (SELECT FROM people WHERE name = of.person AND disabled_at IS NOT NULL)
               -- One at a time: who does not answer is not asked by several.
               AND NOT EXISTS (SELECT FROM tells other WHERE other.target_id = p.target_id AND other.state = 'pending'
                               AND other.tries > 0 AND other.next_try > $1)
               ORDER BY p.target_id, p.tries, p.made_at, p.id
           ), claimed AS (
               UPDATE tells SET tries = tries + 1, next_try = $2
               WHERE id IN (SELECT id FROM due LIMIT $3) AND state = 'pending' AND next_try <= $1
               RETURNING id, target_id, message, tries
           )
           SELECT c.id AS "id!", t.id AS "target!", t.kind AS "kind!", t.address AS "address!", t.secret AS "secret!",
                  c.message AS "message!", c.tries AS "tries!", $1::timestamptz AS "now!"
           FROM claimed c JOIN notify_targets t ON t.id = c.target_id"#,
        now,
        claimed_until(now),
        limit
    )
    .fetch_all(conn)
    .await
}

/// Stores how a try went; `false` if it is not that try's any more.
pub(crate) async fn settle(conn: &mut Conn, claimed: &Claimed, now: DateTime<Utc>, next: &Next) -> DbResult<bool> {
    let (state, at, error) = match next {
        Next::Sent => ("sent", now, ""),
        Next::Again { at, why } => ("pending", *at, why.as_str()),
        Next::GivenUp { why } => ("given up", now, why.as_str()),
    };
    sqlx::query!(
        "UPDATE tells SET state = $3, next_try = $4, last_error = $5, ended_at = CASE WHEN $3 <> 'pending' THEN $6::timestamptz END
         WHERE id = $1 AND state = 'pending' AND tries = $2",
        claimed.id,
        claimed.tries,
        state,
        at,
        super::clean(error),
        now,
    )
    .run(conn)
    .await
    .map(RowsChanged::is_one)
}

/// How far a message has come: its state, and what failed last.
pub(crate) async fn state(conn: &mut Conn, event: &str, target: &str) -> DbResult<Option<(String, i32, String)>> {
    let row =
        sqlx::query!("SELECT state, tries, last_error FROM tells WHERE event = $1 AND target_id = $2", event, target)
            .fetch_optional(conn)
            .await?;
    Ok(row.map(|row| (row.state, row.tries, row.last_error)))
}

/// Messages to this target that nothing but a wish to test it has made, since `since`.
pub(crate) async fn tests_since(conn: &mut Conn, target: &str, since: DateTime<Utc>) -> DbResult<i64> {
    sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM tells WHERE target_id = $1 AND made_at > $2 AND event LIKE 'test/%'"#,
        target,
        since
    )
    .fetch_one(conn)
    .await
}

/// Forgets what ended long ago.
pub(crate) async fn forget(conn: &mut Conn, now: DateTime<Utc>) -> DbResult<()> {
    sqlx::query!(
        "DELETE FROM tells WHERE id IN (SELECT id FROM tells WHERE ended_at < $1 ORDER BY ended_at LIMIT 5000)",
        now - TimeDelta::days(KEPT_DAYS)
    )
    .run_any(conn)
    .await
}
