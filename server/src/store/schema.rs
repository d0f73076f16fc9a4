//! Opens the database: connects, refuses a schema that is newer than this server, and migrates.

use std::{str::FromStr, time::Duration};

use sqlx::{
    Connection, PgConnection,
    migrate::{MigrateError, Migrator},
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio::time::{Instant, sleep};

use super::{
    DbResult, Store,
    load::{self, Found},
    runtime_role,
};

static MIGRATIONS: Migrator = sqlx::migrate!("../migrations");

/// How long to wait for a database that is starting up.
const STARTUP_WAIT: Duration = Duration::from_secs(15);
/// Between two looks at who holds a lock that migrations wait for, and how long they wait.
const LOCK_LOOK: Duration = Duration::from_secs(5);
const LOCK_WAIT: Duration = Duration::from_secs(600);

/// Why the database cannot be used. Messages name it without its password.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("`{shown}` is no database URL ({problem}); expected postgres://USER:PASSWORD@HOST:PORT/DATABASE")]
    Url { shown: String, problem: String },
    #[error("cannot reach the database {place}: {source}. Is Postgres running there, and is the URL right?")]
    Unreachable { place: String, source: sqlx::Error },
    #[error("Postgres at {place} takes no connection: {source}")]
    Refused { place: String, source: sqlx::Error },
    #[error("Postgres runs at {place} but the database is not there; `createdb {database}` makes it")]
    NoDatabase { place: String, database: String },
    #[error("the database {place} refuses this user: {source}")]
    NoAccess { place: String, source: sqlx::Error },
    #[error(
        "the database {place} has schema version {found}, this server knows up to {known}; \
         run the newer tandem-server on it, or name another database"
    )]
    TooNew { place: String, found: i64, known: i64 },
    #[error(
        "the database {place} stores text as {encoding}, which has no signs for some of it; expected UTF8: \
         `createdb --encoding=UTF8 --template=template0 NAME` makes one"
    )]
    Encoding { place: String, encoding: String },
    #[error(
        "cannot read the table _sqlx_migrations in {place}: {source}. If another program uses that database, name one \
         of its own; if not, this user may not read what another user made"
    )]
    Foreign { place: String, source: sqlx::Error },
    #[error(
        "the database {place} has schema version {version} but lacks {missing}: somebody has removed that; restore it \
         from a backup, or name another database"
    )]
    Incomplete { place: String, version: i64, missing: String },
    #[error(
        "a backup is being restored into the database {place}, or that broke off: nobody can use it. If no restore runs, drop it, and \
         restore into a new one"
    )]
    Unfinished { place: String },
    #[error(
        "the database {place} holds a house already ({found}); a backup is restored into an empty one: `createdb NAME` makes it"
    )]
    Used { place: String, found: String },
    #[error(
        "the database {place} has schema version {found} and this program is of version {known}: take the backup with the program \
         that runs there, or start the newer coordinator first"
    )]
    OtherVersion { place: String, found: i64, known: i64 },
    #[error("cannot give the coordinator's role its rights in {place}: {source}")]
    Roles { place: String, source: sqlx::Error },
    #[error(
        "cannot bring the schema of {place} up to date: a lock has been held for long by {held_by}; SELECT pg_terminate_backend(PROCESS) \
         ends it"
    )]
    Locked { place: String, held_by: String },
    #[error("cannot bring the schema of {place} up to version {known}: {source}")]
    Migrate { place: String, known: i64, source: MigrateError },
}

impl OpenError {
    /// The database cannot be reached, as opposed to being the wrong one.
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Self::Locked { .. } | Self::Unreachable { .. } | Self::Refused { .. } | Self::NoDatabase { .. })
    }
}

pub(crate) fn known_version() -> i64 {
    MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or(0)
}

/// Connects, checks the version and migrates. A `password` goes before the one in the URL.
pub(crate) async fn open(url: &str, password: Option<&str>) -> Result<Store, OpenError> {
    let (options, place) = options(url, password)?;
    let mut conn = connect(&options, &place).await?;
    refuse_foreign(&mut conn, &place).await?;
    refuse_unfinished(&mut conn, &place).await?;
    // `run` takes an advisory lock: if several servers start at once, one migrates and the others wait.
    migrate(&options, &place, None).await?;
    refuse_incomplete(&mut conn, &place).await?;
    let becomes = runtime_role::prepare(&mut conn, chrono::Utc::now()).await;
    let becomes = becomes.map_err(|source| OpenError::Roles { place: place.clone(), source })?;
    // An error on closing does not matter.
    let _ = conn.close().await;
    Ok(Store::connect_lazy(&options, becomes.then_some(runtime_role::ROLE)))
}

/// As [`open`], but changes nothing, and works as the owner: a house of another version is refused.
pub(crate) async fn open_as_it_is(url: &str, password: Option<&str>) -> Result<Store, OpenError> {
    let (options, place) = options(url, password)?;
    let mut conn = connect(&options, &place).await?;
    refuse_foreign(&mut conn, &place).await?;
    refuse_unfinished(&mut conn, &place).await?;
    let found = applied_version(&mut conn).await;
    let found = found.map_err(|source| OpenError::Foreign { place: place.clone(), source })?.unwrap_or(0);
    let known = known_version();
    if found != known {
        return Err(OpenError::OtherVersion { place, found, known });
    }
    let _ = conn.close().await;
    Ok(Store::connect_lazy(&options, None))
}

/// An empty database, and a connection that owns what is made in it.
pub(crate) struct Empty {
    pub(crate) conn: PgConnection,
    options: PgConnectOptions,
    place: String,
}

/// Opens a database that a backup is to be restored into, and marks it: until that is done, nobody can use it.
pub(crate) async fn open_empty(url: &str, password: Option<&str>) -> Result<Empty, OpenError> {
    let (options, place) = options(url, password)?;
    let mut conn = connect(&options, &place).await?;
    refuse_foreign(&mut conn, &place).await?;
    let unreachable = |source| OpenError::Unreachable { place: place.clone(), source };
    let used = |found: String| OpenError::Used { place: place.clone(), found };
    match load::look(&mut conn).await.map_err(unreachable)? {
        Found::Nothing => {}
        Found::Unfinished => return Err(OpenError::Unfinished { place }),
        Found::Experiments(count) => return Err(used(format!("experiments: {count}"))),
        Found::Tables(count) => return Err(used(format!("tables and the like: {count}, without an experiment"))),
    }
    load::mark(&mut conn).await.map_err(unreachable)?;
    Ok(Empty { conn, options, place })
}

impl Empty {
    /// Brings the schema to version `to`, or to the newest.
    pub(crate) async fn migrate(&self, to: Option<i64>) -> Result<(), OpenError> {
        migrate(&self.options, &self.place, to).await
    }

    /// Roles and coming months, as at every start.
    pub(crate) async fn prepare(&mut self) -> Result<(), OpenError> {
        refuse_incomplete(&mut self.conn, &self.place).await?;
        let prepared = runtime_role::prepare(&mut self.conn, chrono::Utc::now()).await;
        prepared.map(drop).map_err(|source| OpenError::Roles { place: self.place.clone(), source })
    }

    /// The same database, by pools that work as the owner.
    pub(crate) fn store(&self) -> Store {
        Store::connect_lazy(&self.options, None)
    }
}

async fn migrate(options: &PgConnectOptions, place: &str, to: Option<i64>) -> Result<(), OpenError> {
    let pool = PgPoolOptions::new().max_connections(1).connect_lazy_with(options.clone());
    let known = to.unwrap_or_else(known_version);
    let run = async {
        match to {
            Some(to) => MIGRATIONS.run_to(to, &pool).await,
            None => MIGRATIONS.run(&pool).await,
        }
    };
    let migrated = tokio::select! {
        migrated = run => migrated,
        held_by = watch_lock(options) => {
            return Err(OpenError::Locked { place: place.to_owned(), held_by });
        }
    };
    pool.close().await;
    migrated.map_err(|source| OpenError::Migrate { place: place.to_owned(), known, source })
}

/// Says who holds up the migrations, if somebody does for long; ends, with whom it was, when it has been too long. Another coordinator
/// that migrates may take minutes.
async fn watch_lock(options: &PgConnectOptions) -> String {
    let began = Instant::now();
    loop {
        sleep(LOCK_LOOK).await;
        let Ok(mut conn) = PgConnection::connect_with(options).await else { continue };
        let holders: Vec<(i32, String, String)> = sqlx::query_as(
            "SELECT pid, usename::text, application_name FROM pg_stat_activity
             WHERE pid = ANY (SELECT unnest(pg_blocking_pids(waiting.pid)) FROM pg_stat_activity waiting
                              WHERE waiting.datname = current_database() AND waiting.wait_event_type = 'Lock'
                                AND waiting.application_name = 'tandem-server')
             LIMIT 5",
        )
        .fetch_all(&mut conn)
        .await
        .unwrap_or_default();
        let _ = conn.close().await;
        if !holders.is_empty() {
            let one = |(pid, user, program): &(i32, String, String)| format!("process {pid} of {user} ({program})");
            let held_by = holders.iter().map(one).collect::<Vec<_>>().join(", ");
            let ends = "SELECT pg_terminate_backend(PROCESS) ends it, if it is no other coordinator";
            tracing::warn!(held_by, "waiting for a lock, to bring the schema up to date; {ends}");
            if began.elapsed() > LOCK_WAIT {
                return held_by;
            }
        }
    }
}

/// How to connect, and the place in words without the password.
fn options(url: &str, password: Option<&str>) -> Result<(PgConnectOptions, String), OpenError> {
    let wrong = |problem: String| OpenError::Url { shown: without_password(url), problem };
    if !["postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme)) {
        return Err(wrong("it does not begin with postgres://".to_owned()));
    }
    let mut options = PgConnectOptions::from_str(url)
        .map_err(|error| wrong(error.to_string()))?
        .application_name("tandem-server")
        // Transactions are short. One whose process hangs must not block the others.
        .options([("idle_in_transaction_session_timeout", "30s")]);
    if let Some(password) = password {
        options = options.password(password);
    }
    let place = format!(
        "{}:{}/{}",
        options.get_host(),
        options.get_port(),
        options.get_database().unwrap_or_else(|| options.get_username())
    );
    Ok((options, place))
}

async fn refuse_unfinished(conn: &mut PgConnection, place: &str) -> Result<(), OpenError> {
    match load::is_unfinished(conn).await {
        Ok(false) => Ok(()),
        Ok(true) => Err(OpenError::Unfinished { place: place.to_owned() }),
        Err(source) => Err(OpenError::Unreachable { place: place.to_owned(), source }),
    }
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
            code if !code.is_empty() => return Err(OpenError::Refused { place: place.to_owned(), source }),
            _ => return Err(OpenError::Unreachable { place: place.to_owned(), source }),
        }
    }
}

/// Refuses a database that is another program's, a newer server's, or has no signs for some text.
async fn refuse_foreign(conn: &mut PgConnection, place: &str) -> Result<(), OpenError> {
    let unreachable = |source| OpenError::Unreachable { place: place.to_owned(), source };
    let encoding: String = sqlx::query_scalar("SELECT current_setting('server_encoding')")
        .fetch_one(&mut *conn)
        .await
        .map_err(unreachable)?;
    if encoding != "UTF8" {
        return Err(OpenError::Encoding { place: place.to_owned(), encoding });
    }
    let known = known_version();
    match applied_version(conn).await {
        Ok(Some(found)) if found > known => Err(OpenError::TooNew { place: place.to_owned(), found, known }),
        Ok(_) => Ok(()),
        Err(source @ (sqlx::Error::Io(_) | sqlx::Error::Tls(_))) => Err(unreachable(source)),
        Err(source) => Err(OpenError::Foreign { place: place.to_owned(), source }),
    }
}

/// Refuses a schema that lacks a table which its version says it has: calls would fail one by one.
async fn refuse_incomplete(conn: &mut PgConnection, place: &str) -> Result<(), OpenError> {
    let missing: Vec<String> =
        sqlx::query_scalar("SELECT name FROM UNNEST($1::text[]) AS name WHERE to_regclass(name) IS NULL ORDER BY name")
            .bind(tables())
            .fetch_all(conn)
            .await
            .map_err(|source| OpenError::Unreachable { place: place.to_owned(), source })?;
    if missing.is_empty() {
        return Ok(());
    }
    let missing = format!("the table{} {}", if missing.len() == 1 { "" } else { "s" }, missing.join(", "));
    Err(OpenError::Incomplete { place: place.to_owned(), version: known_version(), missing })
}

/// The tables that the migrations make.
fn tables() -> Vec<String> {
    let lines = MIGRATIONS.iter().flat_map(|migration| migration.sql.as_str().lines());
    let names = lines.filter_map(|line| line.strip_prefix("CREATE TABLE ")?.split(' ').next().map(str::to_owned));
    names.collect()
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
    fn the_tables_of_the_migrations_are_found() {
        let tables = tables();
        assert!(
            ["jobs", "leases", "workers", "checkpoints"].iter().all(|name| tables.iter().any(|table| table == name))
        );
    }

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
        assert!(matches!(open("mysql://x", None).await, Err(OpenError::Url { .. })));
        // Port 1 (tcpmux) is closed on every machine that runs tests.
        let error = open("postgres://ada:secret@127.0.0.1:1/tandem", Some("secret")).await.unwrap_err();
        assert!(error.is_unavailable());
        let message = error.to_string();
        assert!(message.contains("127.0.0.1:1/tandem") && !message.contains("secret"), "{message}");
    }
}
