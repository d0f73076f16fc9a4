//! Tokens: what is known of them, never they themselves.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tandem_domain::access::token::{Token, TokenId};
use uuid::Uuid;

use super::{
    Conn, DbResult, column,
    rows::{RowsChanged, Statement},
};

/// What a coordinator keeps in memory of a token.
#[derive(Clone, Debug)]
pub(crate) struct KnownRow {
    pub(crate) id: String,
    pub(crate) role: String,
    pub(crate) hash: Vec<u8>,
    pub(crate) is_revoked: bool,
    /// When the house was restored from a backup.
    pub(crate) before_restore: bool,
    /// By the database's clock; not positive if it has expired.
    pub(crate) seconds_left: Option<f64>,
    pub(crate) person: Option<String>,
    pub(crate) person_role: Option<String>,
    pub(crate) is_disabled: bool,
    pub(crate) once: bool,
}

/// An account of the box that is linked to a person.
#[derive(Clone, Debug)]
pub(crate) struct LoginRow {
    pub(crate) login: String,
    pub(crate) name: String,
    pub(crate) role: String,
    pub(crate) is_disabled: bool,
}

/// Grows with every change of people or tokens. `None` if somebody has removed it: then nobody can know.
pub(crate) async fn version(conn: &mut Conn) -> DbResult<Option<i64>> {
    sqlx::query_scalar!("SELECT max(version) FROM access_version").fetch_one(conn).await
}

/// All that are good, and those that were until a month ago: they are told why they are not any more.
pub(crate) async fn known(conn: &mut Conn) -> DbResult<Vec<KnownRow>> {
    sqlx::query_as!(
        KnownRow,
        r#"SELECT t.id, t.role::text AS "role!", t.hash, t.revoked_at IS NOT NULL AS "is_revoked!",
                  COALESCE(t.revoked_at = (SELECT restored_at FROM house), false) AS "before_restore!",
                  EXTRACT(EPOCH FROM t.expires_at - clock_timestamp())::float8 AS seconds_left,
                  t.once, t.person, p.role::text AS person_role, (p.disabled_at IS NOT NULL) AS "is_disabled!"
           FROM tokens t LEFT JOIN people p ON p.name = t.person
           WHERE LEAST(t.revoked_at, t.expires_at) IS NULL
              OR LEAST(t.revoked_at, t.expires_at) > clock_timestamp() - interval '30 days'"#
    )
    .fetch_all(conn)
    .await
}

pub(crate) async fn logins(conn: &mut Conn) -> DbResult<Vec<LoginRow>> {
    sqlx::query_as!(
        LoginRow,
        r#"SELECT login AS "login!", name, role::text AS "role!", disabled_at IS NOT NULL AS "is_disabled!"
           FROM people WHERE login IS NOT NULL"#
    )
    .fetch_all(conn)
    .await
}

/// What is stored when a token is made.
pub(crate) struct NewToken<'a> {
    pub(crate) token: &'a Token,
    pub(crate) role: &'a str,
    pub(crate) person: Option<&'a str>,
    pub(crate) name: &'a str,
    pub(crate) made_by: &'a str,
    pub(crate) expires_in: Option<Duration>,
    /// Good for nothing but to make another.
    pub(crate) once: bool,
    /// The token of the same person that it was made with: it ends when that ends.
    pub(crate) parent: Option<&'a TokenId>,
}

/// `false` if its id is taken.
pub(crate) async fn insert(conn: &mut Conn, new: &NewToken<'_>) -> DbResult<bool> {
    let id = new.token.id();
    sqlx::query!(
        "INSERT INTO tokens (id, role, person, name, hash, made_by, expires_at, once, parent)
         VALUES ($1, $2::text::token_role, $3, $4, $5, $6,
                 LEAST(clock_timestamp() + make_interval(secs => $7::float8), (SELECT expires_at FROM tokens WHERE id = $9)),
                 $8, $9)
         ON CONFLICT (id) DO NOTHING",
        id.as_str(),
        new.role,
        new.person,
        new.name,
        &new.token.hash()[..],
        new.made_by,
        new.expires_in.map(|span| span.as_secs_f64()),
        new.once,
        new.parent.map(TokenId::as_str),
    )
    .run(conn)
    .await
    .map(RowsChanged::is_one)
}

/// How many are good: of one person, and of all.
pub(crate) async fn count_good(conn: &mut Conn, person: Option<&str>) -> DbResult<(i64, i64)> {
    let row = sqlx::query!(
        r#"SELECT count(*) FILTER (WHERE person = $1) AS "own!", count(*) AS "all!" FROM tokens
           WHERE revoked_at IS NULL AND (expires_at IS NULL OR expires_at > clock_timestamp())"#,
        person
    )
    .fetch_one(conn)
    .await?;
    Ok((row.own, row.all))
}

/// For a person who looks.
#[derive(Clone, Debug)]
pub(crate) struct TokenRow {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) role: String,
    pub(crate) person: Option<String>,
    pub(crate) state: String,
    pub(crate) made_at: DateTime<Utc>,
    pub(crate) expires_at: Option<DateTime<Utc>>,
    pub(crate) last_used_at: Option<DateTime<Utc>>,
    pub(crate) worker: Option<String>,
}

/// The newest thousand, newest first: of one person, of everybody, or the one of an id.
pub(crate) async fn list(conn: &mut Conn, person: Option<&str>, id: Option<&TokenId>) -> DbResult<Vec<TokenRow>> {
    sqlx::query_as!(
        TokenRow,
        r#"SELECT t.id, t.name, t.role::text AS "role!", t.person, t.made_at, t.expires_at, t.last_used_at,
                  CASE WHEN t.revoked_at IS NOT NULL THEN 'revoked'
                       WHEN t.expires_at <= clock_timestamp() THEN 'expired' ELSE 'good' END AS "state!",
                  COALESCE(w.name, t.worker_id::text) AS worker
           FROM tokens t LEFT JOIN workers w ON w.id = t.worker_id
           WHERE ($1::text IS NULL OR t.person = $1) AND ($2::text IS NULL OR t.id = $2)
           ORDER BY t.made_at DESC, t.id LIMIT 1000"#,
        person,
        id.map(TokenId::as_str),
    )
    .fetch_all(conn)
    .await
}

/// Revokes a token, and those of the same person that were made with it; how many. When one was revoked first is kept.
pub(crate) async fn revoke(conn: &mut Conn, id: &TokenId) -> DbResult<u64> {
    sqlx::query!(
        "WITH RECURSIVE ending (id) AS (
             SELECT $1::text
             UNION SELECT made.id FROM tokens made JOIN ending ON made.parent = ending.id
         )
         UPDATE tokens SET revoked_at = COALESCE(revoked_at, clock_timestamp()) WHERE id IN (SELECT id FROM ending)",
        id.as_str()
    )
    .run(conn)
    .await
    .map(RowsChanged::count)
}

/// Revokes a token that is good once; `false` if that has happened before.
pub(crate) async fn use_up(conn: &mut Conn, id: &TokenId) -> DbResult<bool> {
    sqlx::query!(
        "UPDATE tokens SET revoked_at = clock_timestamp() WHERE id = $1 AND once AND revoked_at IS NULL",
        id.as_str()
    )
    .run(conn)
    .await
    .map(RowsChanged::is_one)
}

/// These were used in the last minute.
pub(crate) async fn used(conn: &mut Conn, ids: &[TokenId]) -> DbResult<()> {
    let ids: Vec<String> = column(ids, |id| id.as_str().to_owned());
    sqlx::query!("UPDATE tokens SET last_used_at = clock_timestamp() WHERE id = ANY($1)", &ids).run_any(conn).await
}

/// Binds a worker's token to the worker that uses it first, unless that has another good one; the worker that it is bound to then.
pub(crate) async fn bind(conn: &mut Conn, id: &TokenId, worker: Uuid) -> DbResult<Option<Uuid>> {
    // Looked at first: a statement that may change something has every coordinator read all of it anew.
    if let Some(bound) = bound(conn, id).await? {
        return Ok(Some(bound));
    }
    sqlx::query!(
        "UPDATE tokens SET worker_id = $2 WHERE id = $1 AND role = 'worker' AND worker_id IS NULL
           AND NOT EXISTS (SELECT FROM tokens other WHERE other.worker_id = $2 AND other.revoked_at IS NULL
                           AND (other.expires_at IS NULL OR other.expires_at > clock_timestamp()))",
        id.as_str(),
        worker
    )
    .run_any(&mut *conn)
    .await?;
    bound(conn, id).await
}

async fn bound(conn: &mut Conn, id: &TokenId) -> DbResult<Option<Uuid>> {
    let bound = sqlx::query_scalar!("SELECT worker_id FROM tokens WHERE id = $1", id.as_str());
    Ok(bound.fetch_optional(conn).await?.flatten())
}
