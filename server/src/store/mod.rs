//! The only module that knows SQL, with one file per table or task.
//!
//! Every function takes a connection, so the caller decides what is one transaction. Queries are checked at compile
//! time against the schema (`query!`, with offline data in `.sqlx`). Rules that hold throughout:
//!
//! * **Time is the database's** (`clock_timestamp()`): coordinators on several hosts agree on it.
//! * **Locks are taken in one order**: job, attempt, leases by rank; workers by id. `FOR NO KEY UPDATE`, because a row
//!   that refers to a locked row must not wait. Renewals skip locked rows: they are repeated in a second or two.
//! * **A transition is guarded twice**: by the type in `domain::state`, and by `WHERE state = ..` here. The caller gets
//!   `None` or `false` if the row was not in that state any more, and `rows` makes sure that the count is looked at.

pub(crate) mod attempts;
pub(crate) mod dependencies;
pub(crate) mod events;
pub(crate) mod evidence;
pub(crate) mod experiments;
pub(crate) mod files;
pub(crate) mod fleet;
pub(crate) mod jobs;
pub(crate) mod leader;
pub(crate) mod leases;
pub(crate) mod logs;
pub(crate) mod measures;
pub(crate) mod notify;
pub(crate) mod overview;
pub(crate) mod queue;
mod retry;
mod rows;
pub(crate) mod schema;
pub(crate) mod targets;
pub(crate) mod worker_leases;
pub(crate) mod workers;

use std::{str::FromStr, time::Duration};

use sqlx::{
    PgPool, Postgres, Transaction,
    pool::PoolConnection,
    postgres::{PgConnectOptions, PgPoolOptions},
};

pub(crate) use retry::retry;

/// A connection, in a transaction or not.
pub(crate) type Conn = sqlx::PgConnection;
pub(crate) type DbResult<T> = std::result::Result<T, sqlx::Error>;

#[derive(Clone, Debug)]
pub(crate) struct Store {
    pool: PgPool,
}

impl Store {
    /// A pool on a database whose schema is known to fit: see [`schema::open`].
    fn connect_lazy(options: PgConnectOptions) -> Self {
        let pool = PgPoolOptions::new()
            .max_connections(10)
            // Shorter than a worker waits for the answer to its registration.
            .acquire_timeout(Duration::from_secs(3))
            .idle_timeout(Duration::from_secs(60))
            .connect_lazy_with(options);
        Self { pool }
    }

    pub(crate) async fn conn(&self) -> DbResult<PoolConnection<Postgres>> {
        self.pool.acquire().await
    }

    /// A transaction that is rolled back unless it is committed.
    pub(crate) async fn begin(&self) -> DbResult<Transaction<'static, Postgres>> {
        self.pool.begin().await
    }

    pub(crate) async fn close(&self) {
        self.pool.close().await;
    }
}

/// One column for an `UNNEST`: a value of each row.
fn column<'r, R, C>(rows: &'r [R], value: impl Fn(&'r R) -> C) -> Vec<C> {
    rows.iter().map(value).collect()
}

/// A label of a Postgres enum, as the domain's type.
fn parse<T>(label: &str) -> DbResult<T>
where
    T: FromStr,
    T::Err: std::error::Error + Send + Sync + 'static,
{
    label.parse().map_err(|error| sqlx::Error::Decode(Box::new(error)))
}

/// Counts and sizes are unsigned here and `bigint` in Postgres. A value that does not fit is cut off and not refused:
/// it is for display, and beyond 2^63 it is its sender's mistake.
pub(crate) fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// The reverse of [`signed`]. Such columns are never negative.
pub(crate) fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

/// As [`unsigned`], for small numbers.
pub(crate) fn small(value: i32) -> u32 {
    u32::try_from(value).unwrap_or(0)
}

/// As [`signed`], for small numbers.
pub(crate) fn integer(value: u32) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}

/// Replaces NUL, which Postgres stores in no text; all text of peers passes through here.
pub(crate) fn clean(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}
