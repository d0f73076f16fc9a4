//! Sessions of browsers, and the codes that begin one: what is known of them, never they themselves.

use std::time::Duration;

use tandem_domain::access::{session::SecretHash, token::TokenId};
use uuid::Uuid;

use super::{
    Conn, DbResult,
    rows::{RowsChanged, Statement},
};

/// Whom a session or a code stands for: never somebody by name, but what that somebody is known by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Holder {
    Token(TokenId),
    /// An account, of the box that has this start.
    Account {
        uid: u32,
        host: String,
    },
}

impl Holder {
    fn columns(&self) -> (Option<&str>, Option<i64>, Option<&str>) {
        match self {
            Self::Token(id) => (Some(id.as_str()), None, None),
            Self::Account { uid, host } => (None, Some(i64::from(*uid)), Some(host)),
        }
    }

    /// A row that cannot be right opens nothing.
    fn of(token: Option<String>, account: Option<i64>, host: Option<String>) -> Option<Self> {
        match (token, account, host) {
            (Some(token), None, _) => TokenId::parse(&token).ok().map(Self::Token),
            (None, Some(account), Some(host)) => u32::try_from(account).ok().map(|uid| Self::Account { uid, host }),
            _ => None,
        }
    }
}

/// What a coordinator keeps in memory of a session.
#[derive(Clone, Debug)]
pub(crate) struct SessionRow {
    pub(crate) hash: SecretHash,
    pub(crate) holder: Holder,
    /// By the database's clock.
    pub(crate) seconds_left: f64,
}

/// All that have not ended.
pub(crate) async fn known(conn: &mut Conn) -> DbResult<Vec<SessionRow>> {
    let rows = sqlx::query!(
        r#"SELECT hash, token, account, host, EXTRACT(EPOCH FROM expires_at - clock_timestamp())::float8 AS "seconds_left!"
           FROM web_sessions WHERE expires_at > clock_timestamp()"#
    )
    .fetch_all(conn)
    .await?;
    let sessions = rows.into_iter().filter_map(|row| {
        let holder = Holder::of(row.token, row.account, row.host)?;
        Some(SessionRow { hash: row.hash.try_into().ok()?, holder, seconds_left: row.seconds_left })
    });
    Ok(sessions.collect())
}

/// Begins a session, and forgets those that have ended; of one holder the oldest, too, where there are `most`.
pub(crate) async fn begin(
    conn: &mut Conn,
    hash: &SecretHash,
    holder: &Holder,
    lasts: Duration,
    most: i64,
) -> DbResult<()> {
    let (token, account, host) = holder.columns();
    sqlx::query!(
        "DELETE FROM web_sessions WHERE expires_at <= clock_timestamp() OR hash IN (
             SELECT hash FROM web_sessions
             WHERE token IS NOT DISTINCT FROM $1 AND account IS NOT DISTINCT FROM $2 AND host IS NOT DISTINCT FROM $3
             ORDER BY made_at DESC OFFSET $4)",
        token,
        account,
        host,
        most - 1,
    )
    .run_any(&mut *conn)
    .await?;
    sqlx::query!(
        "INSERT INTO web_sessions (hash, token, account, host, expires_at) VALUES ($1, $2, $3, $4,
             LEAST(clock_timestamp() + make_interval(secs => $5), (SELECT expires_at FROM tokens WHERE id = $2)))",
        &hash[..],
        token,
        account,
        host,
        lasts.as_secs_f64(),
    )
    .run_any(conn)
    .await
}

/// `false` if it has ended already.
pub(crate) async fn end(conn: &mut Conn, hash: &SecretHash) -> DbResult<bool> {
    sqlx::query!("DELETE FROM web_sessions WHERE hash = $1", &hash[..]).run(conn).await.map(RowsChanged::is_one)
}

/// Stores a code, and forgets old ones; `false` if its holder has `most` that are good.
pub(crate) async fn put_code(
    conn: &mut Conn,
    id: Uuid,
    hash: &SecretHash,
    holder: &Holder,
    lasts: Duration,
    most: i64,
) -> DbResult<bool> {
    let (token, account, host) = holder.columns();
    // Longer than anybody asks whether one was used.
    sqlx::query!("DELETE FROM web_codes WHERE expires_at < clock_timestamp() - interval '1 hour'")
        .run_any(&mut *conn)
        .await?;
    sqlx::query!(
        "INSERT INTO web_codes (id, hash, token, account, host, expires_at)
         SELECT $1, $2, $3, $4, $5, clock_timestamp() + make_interval(secs => $6)
         WHERE (SELECT count(*) FROM web_codes
                WHERE token IS NOT DISTINCT FROM $3 AND account IS NOT DISTINCT FROM $4 AND host IS NOT DISTINCT FROM $5
                  AND used_at IS NULL AND expires_at > clock_timestamp()) < $7",
        id,
        &hash[..],
        token,
        account,
        host,
        lasts.as_secs_f64(),
        most,
    )
    .run(conn)
    .await
    .map(RowsChanged::is_one)
}

/// Uses a code up; `None` if it was used before, is too old, or was never made.
pub(crate) async fn use_code(conn: &mut Conn, hash: &SecretHash) -> DbResult<Option<Holder>> {
    let row = sqlx::query!(
        "UPDATE web_codes SET used_at = clock_timestamp()
         WHERE hash = $1 AND used_at IS NULL AND expires_at > clock_timestamp() RETURNING token, account, host",
        &hash[..]
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.and_then(|row| Holder::of(row.token, row.account, row.host)))
}

/// Whom a code that is good stands for; it is not used up.
pub(crate) async fn holder_of_code(conn: &mut Conn, hash: &SecretHash) -> DbResult<Option<Holder>> {
    let row = sqlx::query!(
        "SELECT token, account, host FROM web_codes
         WHERE hash = $1 AND used_at IS NULL AND expires_at > clock_timestamp()",
        &hash[..]
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.and_then(|row| Holder::of(row.token, row.account, row.host)))
}

/// Whether the code of this id was used.
pub(crate) async fn is_used(conn: &mut Conn, id: Uuid) -> DbResult<bool> {
    let used = sqlx::query_scalar!(r#"SELECT used_at IS NOT NULL AS "used!" FROM web_codes WHERE id = $1"#, id);
    Ok(used.fetch_optional(conn).await?.unwrap_or(false))
}
