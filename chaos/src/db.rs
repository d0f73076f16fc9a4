//! Questions to the database, which may be away at any moment: an error means "ask again".

use std::{future::Future, str::FromStr as _, time::Duration};

use anyhow::{Context as _, Result};
use sqlx::{
    Connection as _, FromRow, PgConnection,
    postgres::{PgConnectOptions, PgRow},
};
use tokio::runtime::Runtime;

/// How the harness is called in `pg_stat_activity`: it must not end its own connection.
const NAME: &str = "tandem-chaos";
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

pub(crate) struct Db {
    runtime: Runtime,
    options: PgConnectOptions,
    connection: Option<PgConnection>,
}

/// A job of the experiment at a moment of the database's clock.
#[derive(Clone, Debug, Default, PartialEq, FromRow)]
pub(crate) struct JobNow {
    pub(crate) now: f64,
    pub(crate) name: String,
    pub(crate) state: String,
    pub(crate) reason: String,
    /// Of the attempt that runs; its state is empty if none does.
    pub(crate) live_fence: Option<i64>,
    pub(crate) live_state: String,
    /// The newest of the newest attempt that wrote any; the same for metrics.
    pub(crate) checkpoint_fence: Option<i64>,
    pub(crate) checkpoint_step: Option<i64>,
    pub(crate) metric_fence: Option<i64>,
    pub(crate) metric_step: Option<i64>,
    /// Attempts lost since a checkpoint was committed: the sixth gives the job up.
    pub(crate) losses: i64,
}

const JOBS: &str = "
SELECT EXTRACT(epoch FROM clock_timestamp())::float8 AS now, j.name, j.state::text AS state, j.reason,
       a.fence AS live_fence, COALESCE(a.state::text, '') AS live_state,
       c.fence AS checkpoint_fence, c.step AS checkpoint_step, m.fence AS metric_fence, m.step AS metric_step,
       (SELECT count(*) FROM attempts l
        WHERE l.job_id = j.id AND l.state = 'lost' AND l.fence > COALESCE(c.fence, 0)) AS losses
FROM experiment_jobs e JOIN jobs j ON j.id = e.job_id
LEFT JOIN attempts a ON a.job_id = j.id AND a.state IN ('assigned', 'starting', 'training')
LEFT JOIN LATERAL (SELECT fence, step FROM checkpoints WHERE job_id = j.id
                   ORDER BY fence DESC, step DESC LIMIT 1) c ON true
LEFT JOIN LATERAL (SELECT fence, step FROM metrics WHERE job_id = j.id
                   ORDER BY fence DESC, step DESC LIMIT 1) m ON true
WHERE e.experiment_id::text = $1 ORDER BY e.position";

const EVENTS: &str = "
SELECT EXTRACT(epoch FROM at)::float8, kind, message FROM events WHERE id > $1 ORDER BY id";

impl Db {
    /// # Errors
    /// When the URL is none.
    pub(crate) fn at(url: &str) -> Result<Self> {
        let options = PgConnectOptions::from_str(url).context("the database's URL")?.application_name(NAME);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("no async runtime")?;
        Ok(Self { runtime, options, connection: None })
    }

    /// All rows of a question about one experiment, or whatever `$1` is.
    pub(crate) fn of<T>(&mut self, sql: &'static str, about: &str) -> Result<Vec<T>>
    where
        T: for<'r> FromRow<'r, PgRow> + Send + Unpin,
    {
        self.ask(async |connection| sqlx::query_as(sql).bind(about).fetch_all(connection).await)
    }

    pub(crate) fn all<T>(&mut self, sql: &'static str) -> Result<Vec<T>>
    where
        T: for<'r> FromRow<'r, PgRow> + Send + Unpin,
    {
        self.ask(async |connection| sqlx::query_as(sql).fetch_all(connection).await)
    }

    /// In the order of the experiment's graph.
    pub(crate) fn jobs(&mut self, experiment: &str) -> Result<Vec<JobNow>> {
        self.of(JOBS, experiment)
    }

    /// When, what and in which words, of all events after the numbered one.
    pub(crate) fn events_since(&mut self, id: i64) -> Result<Vec<(f64, String, String)>> {
        self.ask(async |connection| sqlx::query_as(EVENTS).bind(id).fetch_all(connection).await)
    }

    pub(crate) fn last_event(&mut self) -> Result<i64> {
        self.one("SELECT COALESCE(max(id), 0) FROM events")
    }

    pub(crate) fn now(&mut self) -> Result<f64> {
        self.one("SELECT EXTRACT(epoch FROM clock_timestamp())::float8")
    }

    /// Name and term of the coordinator that schedules; `None` while there is none.
    pub(crate) fn leader(&mut self) -> Result<Option<(String, i64)>> {
        Ok(self.all("SELECT name, term FROM leader WHERE expires_at > clock_timestamp()")?.pop())
    }

    /// Process ids of the coordinators' connections.
    pub(crate) fn backends(&mut self) -> Result<Vec<i32>> {
        let rows: Vec<(i32,)> = self.of(
            "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND application_name <> $1
             ORDER BY pid",
            NAME,
        )?;
        Ok(rows.into_iter().map(|(pid,)| pid).collect())
    }

    pub(crate) fn end_backend(&mut self, pid: i32) -> Result<bool> {
        let row: Vec<(bool,)> = self.of("SELECT pg_terminate_backend($1::integer)", &pid.to_string())?;
        Ok(row.first().is_some_and(|(ended,)| *ended))
    }

    pub(crate) fn one<T>(&mut self, sql: &'static str) -> Result<T>
    where
        (T,): for<'r> FromRow<'r, PgRow>,
        T: Send + Unpin,
    {
        let rows: Vec<(T,)> = self.all(sql)?;
        rows.into_iter().next().map(|(value,)| value).context("the database answered with no row")
    }

    fn ask<T, F>(&mut self, question: F) -> Result<T>
    where
        F: AsyncFnOnce(&mut PgConnection) -> sqlx::Result<T>,
    {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.within(PgConnection::connect_with(&self.options))?,
        };
        let answer = self.within(question(&mut connection))?;
        // Only one that answered is used again.
        self.connection = Some(connection);
        Ok(answer)
    }

    fn within<T>(&self, work: impl Future<Output = sqlx::Result<T>>) -> Result<T> {
        let answer = self.runtime.block_on(async { tokio::time::timeout(ANSWER_WITHIN, work).await });
        answer.context("the database did not answer in time")?.context("the database does not answer")
    }
}
