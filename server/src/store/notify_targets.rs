//! Where people want to be told what has happened, and what of it.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tandem_domain::telling::wants::Wants;

use super::{
    Conn, DbResult,
    rows::{RowsChanged, Statement},
    signed, unsigned,
};

/// Never with its secret: that is read by who signs with it alone.
#[derive(Clone, Debug)]
pub(crate) struct TargetRow {
    pub(crate) id: String,
    pub(crate) kind: String,
    pub(crate) address: String,
    finished: bool,
    failed: bool,
    job_failed: bool,
    waits_seconds: Option<i64>,
    device_lost: bool,
    pub(crate) of_all: bool,
    pub(crate) made_at: DateTime<Utc>,
    pub(crate) pending: i64,
    /// Of the newest that failed, if none was sent since.
    pub(crate) last_error: String,
    pub(crate) last_sent: Option<DateTime<Utc>>,
}

impl TargetRow {
    pub(crate) fn wants(&self) -> Wants {
        Wants {
            finished: self.finished,
            failed: self.failed,
            job_failed: self.job_failed,
            waits: self.waits_seconds.map(|seconds| Duration::from_secs(unsigned(seconds))),
            device_lost: self.device_lost,
        }
    }
}

/// Of one claim at a time, so that no two together exceed a limit.
const LOCK: i64 = 0x7465_6c6c;

pub(crate) async fn lock(conn: &mut Conn) -> DbResult<()> {
    sqlx::query_scalar!(r#"SELECT pg_advisory_xact_lock($1)::text AS "locked""#, LOCK).fetch_one(conn).await.map(drop)
}

/// A person's, oldest first.
pub(crate) async fn list(conn: &mut Conn, person: &str) -> DbResult<Vec<TargetRow>> {
    sqlx::query_as!(
        TargetRow,
        r#"SELECT t.id, t.kind, t.address, t.finished, t.failed, t.job_failed, t.waits_seconds, t.device_lost,
                  t.of_all, t.made_at,
                  (SELECT count(*) FROM tells WHERE target_id = t.id AND state = 'pending') AS "pending!",
                  COALESCE((SELECT last_error FROM tells WHERE target_id = t.id AND tries > 0
                            ORDER BY made_at DESC LIMIT 1), '') AS "last_error!",
                  (SELECT max(ended_at) FROM tells WHERE target_id = t.id AND state = 'sent') AS last_sent
           FROM notify_targets t WHERE t.person = $1 ORDER BY t.made_at, t.id"#,
        person
    )
    .fetch_all(conn)
    .await
}

/// Who is to be told of what.
#[derive(Clone, Debug)]
pub(crate) struct Listener {
    pub(crate) id: String,
    pub(crate) person: String,
    pub(crate) of_all: bool,
    pub(crate) wants: Wants,
}

/// All whose person may be told: not who is disabled, and of everybody's experiments admins alone.
pub(crate) async fn listeners(conn: &mut Conn) -> DbResult<Vec<Listener>> {
    // An account of the box that is linked to nobody has no row among the people.
    let rows = sqlx::query!(
        r#"SELECT t.id, t.person, t.finished, t.failed, t.job_failed, t.waits_seconds, t.device_lost,
                  t.of_all AND (p.name IS NULL OR p.role = 'admin') AS "of_all!"
           FROM notify_targets t LEFT JOIN people p ON p.name = t.person
           WHERE p.disabled_at IS NULL ORDER BY t.id"#
    )
    .fetch_all(conn)
    .await?;
    let listeners = rows.into_iter().map(|row| {
        let wants = Wants {
            finished: row.finished,
            failed: row.failed,
            job_failed: row.job_failed,
            waits: row.waits_seconds.map(|seconds| Duration::from_secs(unsigned(seconds))),
            device_lost: row.device_lost,
        };
        Listener { id: row.id, person: row.person, of_all: row.of_all, wants }
    });
    Ok(listeners.collect())
}

/// How many there are of this person, and of all.
pub(crate) async fn count(conn: &mut Conn, person: &str) -> DbResult<[i64; 2]> {
    let row = sqlx::query!(
        r#"SELECT count(*) FILTER (WHERE person = $1) AS "own!", count(*) AS "all!" FROM notify_targets"#,
        person
    )
    .fetch_one(conn)
    .await?;
    Ok([row.own, row.all])
}

#[derive(Clone, Debug)]
pub(crate) struct NewTarget<'a> {
    pub(crate) id: &'a str,
    pub(crate) person: &'a str,
    pub(crate) kind: &'a str,
    pub(crate) address: &'a str,
    /// Empty for mail.
    pub(crate) secret: &'a str,
    pub(crate) wants: Wants,
    pub(crate) of_all: bool,
}

/// `false` if the id is taken, by chance.
pub(crate) async fn insert(conn: &mut Conn, new: &NewTarget<'_>) -> DbResult<bool> {
    sqlx::query!(
        "INSERT INTO notify_targets (id, person, kind, address, secret, finished, failed, job_failed, waits_seconds,
                                     device_lost, of_all)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT (id) DO NOTHING",
        new.id,
        new.person,
        new.kind,
        new.address,
        new.secret,
        new.wants.finished,
        new.wants.failed,
        new.wants.job_failed,
        new.wants.waits.map(|waits| signed(waits.as_secs())),
        new.wants.device_lost,
        new.of_all,
    )
    .run(conn)
    .await
    .map(RowsChanged::is_one)
}

/// What is wanted from now on of the one that this person has with this address; its id, if there is one.
pub(crate) async fn change(conn: &mut Conn, new: &NewTarget<'_>) -> DbResult<Option<String>> {
    sqlx::query_scalar!(
        "UPDATE notify_targets SET finished = $4, failed = $5, job_failed = $6, waits_seconds = $7, device_lost = $8,
                                   of_all = $9
         WHERE person = $1 AND kind = $2 AND address = $3 RETURNING id",
        new.person,
        new.kind,
        new.address,
        new.wants.finished,
        new.wants.failed,
        new.wants.job_failed,
        new.wants.waits.map(|waits| signed(waits.as_secs())),
        new.wants.device_lost,
        new.of_all,
    )
    .fetch_optional(conn)
    .await
}

/// With all that waits for it. `false` if this person has none of that id.
pub(crate) async fn remove(conn: &mut Conn, person: &str, id: &str) -> DbResult<bool> {
    sqlx::query!("DELETE FROM notify_targets WHERE person = $1 AND id = $2", person, id)
        .run(conn)
        .await
        .map(RowsChanged::is_one)
}

/// What the account had becomes the person's; what both have is the person's as it was.
pub(super) async fn take_over(conn: &mut Conn, before: &str, now: &str) -> DbResult<()> {
    sqlx::query!(
        "UPDATE notify_targets t SET person = $2 WHERE person = $1
         AND NOT EXISTS (SELECT FROM notify_targets o WHERE o.person = $2 AND o.kind = t.kind AND o.address = t.address)",
        before,
        now
    )
    .run_any(&mut *conn)
    .await?;
    sqlx::query!("DELETE FROM notify_targets WHERE person = $1", before).run_any(conn).await
}
