//! Opens the database: connects, refuses a schema that is newer than this server, and migrates.

use std::{str::FromStr, time::Duration};

use sqlx::{
    Connection, PgConnection,
    migrate::{MigrateError, Migrator},
    postgres::PgConnectOptions,
};
use tokio::time::{Instant, sleep};

use super::{DbResult, Store};

static MIGRATIONS: Migrator = sqlx::migrate!("../migrations");

/// How long to wait for a database that is starting up.
const STARTUP_WAIT: Duration = Duration::from_secs(15);

/// Why the database cannot be used. Messages name it without its password.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("`{shown}` is no database URL ({problem}); expected postgres://USER:PASSWORD@HOST:PORT/DATABASE")]
    Url { shown: String, problem: String },
    #[error("cannot reach the database {place}: {source}. Is Postgres running there, and is the URL right?")]
    Unreachable { place: String, source: sqlx::Error },
    #[error("Postgres runs at {place} but the database is not there; `createdb {database}` makes it")]
    NoDatabase { place: String, database: String },
    #[error("the database {place} refuses this user: {source}")]
    NoAccess { place: String, source: sqlx::Error },
    #[error(
        "the database {place} has schema version {found}, this server knows up to {known}; \
         run the newer tandem-server on it, or name another database"
    )]
    TooNew { place: String, found: i64, known: i64 },
    #[error("cannot bring the schema of {place} up to version {known}: {source}")]
    Migrate { place: String, known: i64, source: MigrateError },
}

impl OpenError {
    /// The database cannot be reached, as opposed to being the wrong one.
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::NoDatabase { .. })
    }
}

pub(crate) fn known_version() -> i64 {
    MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or(0)
}

/// Connects, checks the version and migrates.
pub(crate) async fn open(url: &str) -> Result<Store, OpenError> {
    let wrong = |problem: String| OpenError::Url { shown: without_password(url), problem };
    if !["postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme)) {
        return Err(wrong("it does not begin with postgres://".to_owned()));
    }
    let options = PgConnectOptions::from_str(url)
        .map_err(|error| wrong(error.to_string()))?
        .application_name("tandem-server")
        // Transactions are short. One whose process hangs must not block the others.
        .options([("idle_in_transaction_session_timeout", "30s")]);
    let place = format!(
        "{}:{}/{}",
        options.get_host(),
        options.get_port(),
        options.get_database().unwrap_or_else(|| options.get_username())
    );
    let mut conn = connect(&options, &place).await?;
    refuse_newer(&mut conn, &place).await?;
    // An error on closing does not matter.
    let _ = conn.close().await;
    let store = Store::connect_lazy(options);
    // `run` takes an advisory lock: if several servers start at once, one migrates and the others wait.
    let migrated = MIGRATIONS.run(&store.pool).await;
    migrated.map_err(|source| OpenError::Migrate { place, known: known_version(), source })?;
    Ok(store)
}

async fn connect(options: &PgConnectOptions, place: &str) -> Result<PgConnection, OpenError> {
    let deadline = Instant::now() + STARTUP_WAIT;
    loop {
        let source = match PgConnection::connect_with(options).await {
            Ok(conn) => return Ok(conn),
            Err(error) => error,
        };
        let code = source.as_database_error().and_then(|error| error.code()).unwrap_or_default().into_owned();
        match code.as_str() {
            // "the database system is starting up"
            "57P03" if Instant::now() < deadline => sleep(Duration::from_millis(200)).await,
            "3D000" => {
                let database = options.get_database().unwrap_or_default().to_owned();
                return Err(OpenError::NoDatabase { place: place.to_owned(), database });
            }
            code if code.starts_with("28") => return Err(OpenError::NoAccess { place: place.to_owned(), source }),
            _ => return Err(OpenError::Unreachable { place: place.to_owned(), source }),
        }
    }
}

async fn refuse_newer(conn: &mut PgConnection, place: &str) -> Result<(), OpenError> {
    let known = known_version();
    match applied_version(conn).await {
        Ok(Some(found)) if found > known => Err(OpenError::TooNew { place: place.to_owned(), found, known }),
        Ok(_) => Ok(()),
        Err(source) => Err(OpenError::Unreachable { place: place.to_owned(), source }),
    }
}

/// The newest migration that was applied; `None` on a new database.
async fn applied_version(conn: &mut PgConnection) -> DbResult<Option<i64>> {
    // Not `query!`: the table is sqlx's own and absent from a new database.
    let (there,): (bool,) =
        sqlx::query_as("SELECT to_regclass('_sqlx_migrations') IS NOT NULL").fetch_one(&mut *conn).await?;
    if !there {
        return Ok(None);
    }
    let (version,) = sqlx::query_as("SELECT max(version) FROM _sqlx_migrations").fetch_one(conn).await?;
    Ok(version)
}

/// `postgres://tandem:secret@host/db` without the secret.
fn without_password(url: &str) -> String {
    match (url.split_once("://"), url.rsplit_once('@')) {
        (Some((scheme, rest)), Some((_, host))) => {
            let user = rest.split([':', '@']).next().unwrap_or_default();
            format!("{scheme}://{user}:***@{host}")
        }
        _ => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_hold_no_password() {
        assert_eq!(
            without_password("postgres://ada:se:cr@et@db.lab:5432/tandem"),
            "postgres://ada:***@db.lab:5432/tandem"
        );
        assert_eq!(without_password("nonsense"), "nonsense");
    }

    #[tokio::test]
    async fn a_wrong_url_and_an_absent_server_are_told_apart() {
        assert!(matches!(open("mysql://x").await, Err(OpenError::Url { .. })));
        // Port 1 (tcpmux) is closed on every machine that runs tests.
        let error = open("postgres://ada:secret@127.0.0.1:1/tandem").await.unwrap_err();
        assert!(error.is_unavailable());
        let message = error.to_string();
        assert!(message.contains("127.0.0.1:1/tandem") && !message.contains("secret"), "{message}");
    }
}
