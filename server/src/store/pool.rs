//! A pool of connections, and what becomes of one that its user drops.
//!
//! sqlx cancels nothing when a call is dropped: the connection goes back to its pool once Postgres has answered, so a
//! query that nobody waits for any more holds its place, and its locks, until it ends. Here it is cancelled, over a
//! connection of its own. A place in a pool becomes free when Postgres has answered or the connection is closed, so
//! that a Postgres that stalls never gets more connections than the pools have places.

use std::{
    ops::{Deref, DerefMut},
    panic::Location,
    sync::Arc,
    time::{Duration, Instant},
};

use sqlx::{
    Connection, PgConnection, PgPool, Postgres,
    pool::PoolConnection,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio::{runtime::Handle, sync::Semaphore, time::timeout};
use tracing::Span;

use crate::meters;

type DbResult<T> = Result<T, sqlx::Error>;

/// A connection that was dropped and answers within this time was idle.
const IDLE_ANSWER: Duration = Duration::from_millis(200);
/// How long a cancelled statement may take to end; then its connection is closed.
const CANCELLED_ANSWER: Duration = Duration::from_secs(5);
/// How long it may take to connect and cancel.
const CANCEL: Duration = Duration::from_secs(3);
/// How long it may take to ask Postgres why there is no connection.
const REASON: Duration = Duration::from_secs(1);

/// Connections for one kind of work. What the others do takes none of them.
#[derive(Clone, Debug)]
pub(crate) struct Pool {
    name: &'static str,
    inner: PgPool,
    options: PgConnectOptions,
    canceller: Arc<Canceller>,
}

impl Pool {
    /// `size` connections at most, each opened when it is needed. A caller waits for one as long as `wait`.
    pub(super) fn new(
        name: &'static str,
        options: PgConnectOptions,
        size: u32,
        wait: Duration,
        canceller: &Arc<Canceller>,
    ) -> Self {
        let inner = PgPoolOptions::new()
            .max_connections(size)
            .acquire_timeout(wait)
            .idle_timeout(Duration::from_secs(60))
            .connect_lazy_with(options.clone());
        Self { name, inner, options, canceller: canceller.clone() }
    }

    /// A connection. Nobody who has one asks for another.
    pub(crate) async fn conn(&self) -> DbResult<PooledConn> {
        let began = Instant::now();
        let acquired = self.inner.acquire().await;
        meters::pool_wait(self.name, began.elapsed());
        let mut conn = match acquired {
            Err(sqlx::Error::PoolTimedOut) => return Err(self.reason().await),
            acquired => acquired?,
        };
        let backend = sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(&mut *conn).await?;
        Ok(PooledConn { conn: Some(conn), backend, in_transaction: false, canceller: self.canceller.clone() })
    }

    /// A transaction that is rolled back unless it is committed.
    #[track_caller]
    pub(crate) fn begin(&self) -> impl Future<Output = DbResult<Tx>> + Send {
        self.begin_with("BEGIN", name_of(Location::caller()))
    }

    /// A transaction that only reads, and sees everything as it was at one moment.
    #[track_caller]
    pub(crate) fn snapshot(&self) -> impl Future<Output = DbResult<Tx>> + Send {
        self.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", name_of(Location::caller()))
    }

    async fn begin_with(&self, begin: &'static str, of: &'static str) -> DbResult<Tx> {
        let span = tracing::debug_span!(target: SPANS, "transaction", otel.name = of, pool = self.name, committed = tracing::field::Empty);
        let mut conn = self.conn().await?;
        let running = Running { pool: self.name, of, began: Instant::now(), span };
        // Before the statement: it may begin and its answer not come.
        conn.in_transaction = true;
        simple(&mut conn, begin).await?;
        Ok(Tx { conn, running })
    }

    /// Why there was no connection in time: Postgres's own words ("too many connections") if it refuses new ones.
    async fn reason(&self) -> sqlx::Error {
        match timeout(REASON, PgConnection::connect_with(&self.options)).await {
            Ok(Err(refused @ sqlx::Error::Database(_))) => refused,
            Ok(Ok(conn)) => {
                // An error on closing does not matter.
                let _ = conn.close().await;
                sqlx::Error::PoolTimedOut
            }
            _ => sqlx::Error::PoolTimedOut,
        }
    }

    /// Name, idle and taken connections.
    pub(super) fn connections(&self) -> (&'static str, usize, usize) {
        let (idle, all) = (self.inner.num_idle(), usize::try_from(self.inner.size()).unwrap_or(usize::MAX));
        (self.name, idle, all.saturating_sub(idle))
    }

    pub(super) async fn close(&self) {
        self.inner.close().await;
    }
}

/// A connection out of a pool. If it is dropped while a statement runs, the statement is cancelled.
pub(crate) struct PooledConn {
    /// `None` only while it is dropped.
    conn: Option<PoolConnection<Postgres>>,
    /// The process that serves it, by which it is cancelled.
    backend: i32,
    in_transaction: bool,
    canceller: Arc<Canceller>,
}

impl Deref for PooledConn {
    type Target = PgConnection;

    #[expect(clippy::expect_used, reason = "it is only taken by `drop`")]
    fn deref(&self) -> &PgConnection {
        self.conn.as_ref().expect("a connection that was not dropped")
    }
}

impl DerefMut for PooledConn {
    #[expect(clippy::expect_used, reason = "it is only taken by `drop`")]
    fn deref_mut(&mut self) -> &mut PgConnection {
        self.conn.as_mut().expect("a connection that was not dropped")
    }
}

impl Drop for PooledConn {
    fn drop(&mut self) {
        let (Some(conn), Ok(runtime)) = (self.conn.take(), Handle::try_current()) else { return };
        runtime.spawn(put_back(conn, self.backend, self.in_transaction, self.canceller.clone()));
    }
}

/// A transaction. It is rolled back unless it is committed.
pub(crate) struct Tx {
    conn: PooledConn,
    running: Running,
}

/// Spans that only who traces wants.
pub(crate) const SPANS: &str = "tandem::span";

/// A transaction that goes on, until it is dropped.
struct Running {
    pool: &'static str,
    of: &'static str,
    began: Instant,
    span: Span,
}

impl Drop for Running {
    fn drop(&mut self) {
        meters::transaction(self.pool, self.of, self.began.elapsed());
    }
}

/// A transaction goes by the file that begins it: `reap`, `telling/gather`.
fn name_of(caller: &'static Location<'static>) -> &'static str {
    let file = caller.file();
    let inside = file.rsplit_once("src/").map_or(file, |(_, inside)| inside);
    inside.strip_suffix(".rs").unwrap_or(inside)
}

impl Tx {
    /// After an error it may have been committed or not: a commit whose answer does not come may have happened.
    pub(crate) async fn commit(mut self) -> DbResult<()> {
        simple(&mut self.conn, "COMMIT").await?;
        self.conn.in_transaction = false;
        self.running.span.record("committed", true);
        Ok(())
    }
}

impl Deref for Tx {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.conn
    }
}

impl DerefMut for Tx {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.conn
    }
}

/// `BEGIN`, `COMMIT` or `ROLLBACK`: they return no row, and change none themselves.
async fn simple(conn: &mut PgConnection, statement: &'static str) -> DbResult<()> {
    sqlx::raw_sql(statement).fetch_optional(conn).await.map(drop)
}

/// Returns a connection to its pool, idle and in no transaction, or closes it.
async fn put_back(mut conn: PoolConnection<Postgres>, backend: i32, in_transaction: bool, canceller: Arc<Canceller>) {
    let is_idle = {
        let mut made_idle = Box::pin(make_idle(&mut conn, in_transaction));
        match timeout(IDLE_ANSWER, &mut made_idle).await {
            Ok(is_idle) => is_idle,
            Err(_) => {
                canceller.cancel(backend).await;
                timeout(CANCELLED_ANSWER, &mut made_idle).await.unwrap_or(false)
            }
        }
    };
    if !is_idle {
        conn.close_on_drop();
    }
}

/// Waits until the statement under way has ended, and ends the transaction; `false` if the connection is broken.
async fn make_idle(conn: &mut PgConnection, in_transaction: bool) -> bool {
    let mut answer = conn.ping().await;
    if matches!(answer, Err(sqlx::Error::Database(_))) {
        // That was the end of the statement, by an error such as that it was cancelled.
        answer = conn.ping().await;
    }
    if in_transaction && answer.is_ok() {
        answer = simple(conn, "ROLLBACK").await;
    }
    answer.is_ok()
}

/// Cancels what a process of Postgres does.
#[derive(Debug)]
pub(super) struct Canceller {
    options: PgConnectOptions,
    /// One connection at a time.
    turn: Semaphore,
}

impl Canceller {
    pub(super) fn new(options: PgConnectOptions) -> Arc<Self> {
        Arc::new(Self { options, turn: Semaphore::new(1) })
    }

    async fn cancel(&self, backend: i32) {
        let cancel = async {
            let _turn = self.turn.acquire().await;
            let mut conn = PgConnection::connect_with(&self.options).await?;
            let cancelled: bool =
                sqlx::query_scalar("SELECT pg_cancel_backend($1)").bind(backend).fetch_one(&mut conn).await?;
            conn.close().await?;
            DbResult::Ok(cancelled)
        };
        match timeout(CANCEL, cancel).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => tracing::debug!(%error, "cannot cancel a statement that nobody waits for"),
            Err(_) => tracing::debug!("cannot cancel a statement that nobody waits for: no answer in time"),
        }
    }
}
