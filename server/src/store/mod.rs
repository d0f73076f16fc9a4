//! The only module that knows SQL, with one file per table or task.
//!
//! Every function takes a connection, so the caller decides what is one transaction. Queries are checked at compile
//! time against the schema (`query!`, with offline data in `.sqlx`). Rules that hold throughout:
//!
//! * **Time is the database's** (`clock_timestamp()`): coordinators on several hosts agree on it.
//! * **Locks are taken in one order**: job, attempt, leases by rank; workers by id. `FOR NO KEY UPDATE`, because a row
//!   that refers to a locked row must not wait. Renewals skip locked rows: they are repeated in a second or two.
//! * **Each kind of work has a pool of its own** ([`Store`]), and nobody who has a connection asks for another.
//! * **Nothing waits without a limit**: `within` for what keeps ranks alive and for reports, Postgres's own
//!   `statement_timeout` for people. A commit whose answer does not come may have happened, so every transaction may be
//!   repeated.
//! * **A transition is guarded twice**: by the type in `domain::state`, and by `WHERE state = ..` here. The caller gets
//!   `None` or `false` if the row was not in that state any more, and `rows` makes sure that the count is looked at.

pub(crate) mod archive;
pub(crate) mod asked;
mod asked_sql;
pub(crate) mod attempts;
pub(crate) mod audit;
pub(crate) mod backups;
pub(crate) mod chunks;
pub(crate) mod datasets;
pub(crate) mod deletions;
pub(crate) mod dependencies;
pub(crate) mod dump;
pub(crate) mod endings;
pub(crate) mod events;
pub(crate) mod evidence;
pub(crate) mod experiments;
pub(crate) mod facts;
pub(crate) mod files;
pub(crate) mod fleet;
pub(crate) mod gauges;
pub(crate) mod happenings;
pub(crate) mod heartbeats;
pub(crate) mod house;
pub(crate) mod imports;
pub(crate) mod jobs;
pub(crate) mod labels;
pub(crate) mod leader;
pub(crate) mod leases;
pub(crate) mod load;
pub(crate) mod logs;
pub(crate) mod measures;
pub(crate) mod named_files;
pub(crate) mod notify;
pub(crate) mod notify_targets;
pub(crate) mod overview;
pub(crate) mod page;
pub(crate) mod people;
pub(crate) mod picks;
pub(crate) mod points;
pub(crate) mod policies;
mod pool;
pub(crate) mod queue;
pub(crate) mod receipts;
pub(crate) mod received;
pub(crate) mod removals;
pub(crate) mod renewal;
pub(crate) mod reproductions;
pub(crate) mod retention;
mod retry;
mod rows;
pub(crate) mod runtime_role;
pub(crate) mod samples;
pub(crate) mod saved_views;
pub(crate) mod schema;
pub(crate) mod sessions;
pub(crate) mod sql_readers;
mod stages;
pub(crate) mod stored;
pub(crate) mod summaries;
pub(crate) mod targets;
pub(crate) mod tells;
pub(crate) mod times;
pub(crate) mod tokens;
pub(crate) mod usage;
pub(crate) mod used;
pub(crate) mod verifying;
pub(crate) mod wishes;
pub(crate) mod withhold;
pub(crate) mod worker_leases;
pub(crate) mod workers;

use std::{str::FromStr, time::Duration};

use sqlx::{
    PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tandem_domain::{timing, timing::timing};

use pool::Canceller;
pub(crate) use pool::{Pool, PooledConn, SPANS, Tx};
pub(crate) use retry::{retry, within};

/// A connection, in a transaction or not.
pub(crate) type Conn = sqlx::PgConnection;
pub(crate) type DbResult<T> = std::result::Result<T, sqlx::Error>;

/// The database, by a pool for each kind of work: whatever readers or reports do, heartbeats are stored in time.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    /// What keeps ranks alive: heartbeats, the leader, the scheduler, the reaper, instructions to workers.
    pub(crate) lane: Pool,
    /// What workers report, and what follows from reading back what they made.
    pub(crate) reports: Pool,
    /// People's questions and requests.
    people: Pool,
    /// The one connection that notifications come on. It works as who connects: the owner of the tables.
    owner: PgPool,
}

impl Store {
    /// Pools on a database whose schema is known to fit: see [`schema::open`].
    ///
    /// `role`: what its connections work as, in place of who connects.
    fn connect_lazy(options: &PgConnectOptions, role: Option<&str>) -> Self {
        let limited = |limit: Duration| {
            let options = options.clone().options([("statement_timeout", format!("{}ms", limit.as_millis()))]);
            match role {
                Some(role) => options.options([("role", role)]),
                None => options,
            }
        };
        let canceller = Canceller::new(options.clone());
        let pool = |name, limit, size, wait| Pool::new(name, limited(limit), size, wait, &canceller);
        let owner = PgPoolOptions::new().max_connections(1).max_lifetime(None).idle_timeout(None);
        Self {
            lane: pool("lane", timing().statement_limit(), 4, timing().statement_limit()),
            reports: pool("reports", timing().report_limit(), 4, timing().report_limit()),
            people: pool("people", timing::READ_LIMIT, 10, timing::READ_WAIT),
            owner: owner.connect_lazy_with(options.clone()),
        }
    }

    /// A connection for a person's question.
    pub(crate) async fn reader(&self) -> DbResult<PooledConn> {
        self.people.conn().await
    }

    /// A transaction for a person's request.
    #[track_caller]
    pub(crate) fn begin(&self) -> impl Future<Output = DbResult<Tx>> + Send {
        self.people.begin()
    }

    /// Name of each pool, and its idle and taken connections.
    pub(crate) fn connections(&self) -> Vec<(&'static str, usize, usize)> {
        [&self.lane, &self.reports, &self.people].map(Pool::connections).to_vec()
    }

    /// A connection that works as the owner of the tables.
    pub(crate) async fn owner(&self) -> DbResult<sqlx::pool::PoolConnection<sqlx::Postgres>> {
        self.owner.acquire().await
    }

    /// Any connection.
    #[cfg(test)]
    pub(crate) async fn conn(&self) -> DbResult<PooledConn> {
        self.people.conn().await
    }

    pub(crate) async fn close(&self) {
        tokio::join!(self.lane.close(), self.reports.close(), self.people.close(), self.owner.close());
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

/// A span of time as it is stored.
fn millis(span: Duration) -> i64 {
    signed(u64::try_from(span.as_millis()).unwrap_or(u64::MAX))
}

/// Replaces NUL, which Postgres stores in no text; all text of peers passes through here.
pub(crate) fn clean(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}
