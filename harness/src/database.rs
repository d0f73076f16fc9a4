use std::{
    str::FromStr as _,
    sync::{LazyLock, Mutex, PoisonError},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use sqlx::{
    AssertSqlSafe, Connection as _, FromRow, PgConnection,
    postgres::{PgConnectOptions, PgRow},
};
use tokio::{runtime::Runtime, time::timeout};

/// How its connections are called in `pg_stat_activity`.
pub const APPLICATION_NAME: &str = "tandem-harness";

/// Drives all connections. Never dropped: a runtime must not be, inside a task of another one.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(1).enable_all().build().expect("a thread for the database's connections")
});

/// A database, for callers that wait. There is one connection, made at the first query and again after an error. Each
/// query fails if the database refuses it or does not answer in time.
#[derive(Debug)]
pub struct Database {
    options: PgConnectOptions,
    connection: Mutex<Option<PgConnection>>,
    limit: Duration,
}

impl Database {
    /// A connection, and each query, must be answered within `limit`. Fails if `url` is none of Postgres.
    pub fn new(url: &str, limit: Duration) -> Result<Self> {
        let options = PgConnectOptions::from_str(url).context("the database's URL")?;
        Ok(Self { options: options.application_name(APPLICATION_NAME), connection: Mutex::new(None), limit })
    }

    /// Another connection to the same database, with the same limit.
    #[must_use]
    pub fn again(&self) -> Self {
        Self { options: self.options.clone(), connection: Mutex::new(None), limit: self.limit }
    }

    /// Another connection to the same database, whose queries may take so long.
    #[must_use]
    pub fn with_limit(&self, limit: Duration) -> Self {
        Self { limit, ..self.again() }
    }

    /// Runs one statement, or several with semicolons between.
    pub fn execute(&self, sql: &str) -> Result<()> {
        self.ask(sql, async |connection| sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await.map(drop))
    }

    pub fn rows<T: for<'r> FromRow<'r, PgRow> + Send + Unpin>(&self, sql: &str) -> Result<Vec<T>> {
        self.ask(sql, async |connection| sqlx::query_as(AssertSqlSafe(sql)).fetch_all(connection).await)
    }

    /// The rows of a query whose parameter `$1` is a text.
    pub fn rows_for<T: for<'r> FromRow<'r, PgRow> + Send + Unpin>(&self, sql: &str, text: &str) -> Result<Vec<T>> {
        self.ask(sql, async |connection| sqlx::query_as(AssertSqlSafe(sql)).bind(text).fetch_all(connection).await)
    }

    /// The only column of the only row. Fails if there is another number of rows.
    pub fn value<T: Send + Unpin>(&self, sql: &str) -> Result<T>
    where
        (T,): for<'r> FromRow<'r, PgRow>,
    {
        let mut rows: Vec<(T,)> = self.rows(sql)?;
        ensure!(rows.len() == 1, "{} rows instead of one: {sql}", rows.len());
        rows.pop().map(|(value,)| value).context("no row")
    }

    fn ask<T, F>(&self, sql: &str, question: F) -> Result<T>
    where
        T: Send,
        F: AsyncFnOnce(&mut PgConnection) -> sqlx::Result<T> + Send,
    {
        let mut guard = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        let kept: &mut Option<PgConnection> = &mut guard;
        let answer = move || async move {
            let mut connection = match kept.take() {
                Some(connection) => connection,
                None => PgConnection::connect_with(&self.options).await?,
            };
            let answer = question(&mut connection).await?;
            // Only a connection that answered is used again.
            *kept = Some(connection);
            Ok::<T, sqlx::Error>(answer)
        };
        // In a thread of its own: the caller may be a task, which must not block on another runtime.
        let answer = thread::scope(|scope| {
            let waiting = scope.spawn(move || RUNTIME.block_on(async move { timeout(self.limit, answer()).await }));
            waiting.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        });
        answer.with_context(|| format!("no answer in time: {sql}"))?.with_context(|| format!("cannot do: {sql}"))
    }
}
