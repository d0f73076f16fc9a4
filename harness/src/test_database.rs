use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use anyhow::Result;
use sqlx::{FromRow, postgres::PgRow};
use tandem_local_postgres::{LocalPostgres, Options};
use tempfile::TempDir;

use crate::{database::Database, folder::open_folder};

const ANSWER_LIMIT: Duration = Duration::from_secs(300);

/// One Postgres for all tests of a binary; stopped and deleted with the last test that uses it.
#[derive(Debug)]
struct SharedPostgres {
    postgres: LocalPostgres,
    /// Databases of which copies are made, and whether they are filled.
    models: Mutex<HashMap<String, Arc<Mutex<bool>>>>,
    _folder: TempDir,
}

impl SharedPostgres {
    /// The one that runs, or a new one.
    fn get() -> Result<Arc<Self>> {
        static SHARED: Mutex<Weak<SharedPostgres>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(postgres) = shared.upgrade() {
            return Ok(postgres);
        }
        let folder = open_folder()?;
        let postgres = LocalPostgres::start_with(&folder.path().join("postgres"), Options { durable: false })?;
        let started = Arc::new(Self { postgres, models: Mutex::default(), _folder: folder });
        *shared = Arc::downgrade(&started);
        Ok(started)
    }

    /// A new database, as the one that `fill` has filled.
    fn copy_model(&self, name: &str, model: &str, fill: impl FnOnce(&str)) -> Result<()> {
        let mut models = self.models.lock().unwrap_or_else(PoisonError::into_inner);
        let filled = Arc::clone(models.entry(model.to_owned()).or_default());
        drop(models);
        // Those that want another model need not wait.
        let mut filled = filled.lock().unwrap_or_else(PoisonError::into_inner);
        if !*filled {
            self.postgres.create_database(model)?;
            fill(&self.postgres.url(model));
            *filled = true;
        }
        let copy = format!("CREATE DATABASE \"{name}\" TEMPLATE \"{model}\" STRATEGY FILE_COPY");
        self.postgres.psql("postgres", &copy).map(drop)
    }
}

/// An empty database of its own for one test, on the Postgres that all tests of the binary share. Queries block, and
/// panic when the database refuses them or the rows are others than expected.
///
/// Types are those of sqlx: `i64` for bigint and `count(*)`, `i32` for integer, `String` for text. An enum is read as
/// `column::text`.
#[derive(Debug)]
pub struct TestDatabase {
    // Dropped in this order: the connection before the server.
    database: Database,
    name: String,
    shared: Arc<SharedPostgres>,
    /// For the files of a coordinator that uses the database.
    pub folder: TempDir,
}

impl TestDatabase {
    /// Panics when Postgres is not installed or does not start.
    #[must_use]
    pub fn create() -> Self {
        Self::made(|shared, name| shared.postgres.create_database(name))
    }

    /// A copy of the database `model`, which matches `[a-z]+`. `fill` gets its URL, once for all tests of the binary, and leaves no
    /// connection open: what many tests begin with is not made again for each.
    #[must_use]
    pub fn copy(model: &str, fill: impl FnOnce(&str)) -> Self {
        Self::made(|shared, name| shared.copy_model(name, model, fill))
    }

    fn made(make: impl FnOnce(&SharedPostgres, &str) -> Result<()>) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        checked((|| {
            let shared = SharedPostgres::get()?;
            let name = format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed));
            make(&shared, &name)?;
            let database = Database::new(&shared.postgres.url(&name), ANSWER_LIMIT)?;
            Ok(Self { database, name, shared, folder: open_folder()? })
        })())
    }

    /// Its URL, with the password.
    #[must_use]
    pub fn url(&self) -> String {
        self.url_of(&self.name)
    }

    /// The URL of another database, which may not exist.
    #[must_use]
    pub fn url_of(&self, name: &str) -> String {
        self.shared.postgres.url(name)
    }

    /// Runs one statement, or several with semicolons between.
    pub fn execute(&self, sql: &str) {
        checked(self.database.execute(sql));
    }

    #[must_use]
    pub fn rows<T: for<'r> FromRow<'r, PgRow> + Send + Unpin>(&self, sql: &str) -> Vec<T> {
        checked(self.database.rows(sql))
    }

    /// The only column of all rows.
    #[must_use]
    pub fn values<T: Send + Unpin>(&self, sql: &str) -> Vec<T>
    where
        (T,): for<'r> FromRow<'r, PgRow>,
    {
        self.rows(sql).into_iter().map(|(value,)| value).collect()
    }

    /// The only column of the only row.
    #[must_use]
    pub fn value<T: Send + Unpin>(&self, sql: &str) -> T
    where
        (T,): for<'r> FromRow<'r, PgRow>,
    {
        checked(self.database.value(sql))
    }

    /// The only text of the only row.
    #[must_use]
    pub fn text(&self, sql: &str) -> String {
        self.value(sql)
    }

    /// How many rows there are `from` a table, with its conditions: `count("jobs WHERE name = 'a'")`.
    #[must_use]
    pub fn count(&self, from: &str) -> i64 {
        self.value(&format!("SELECT count(*) FROM {from}"))
    }
}

/// All tests of a binary together would need gigabytes.
impl Drop for TestDatabase {
    fn drop(&mut self) {
        // Whoever is still connected is cut off. A database that stays goes with the server.
        drop(self.shared.postgres.psql("postgres", &format!("DROP DATABASE \"{}\" WITH (FORCE)", self.name)));
    }
}

fn checked<T>(answer: Result<T>) -> T {
    answer.unwrap_or_else(|error| panic!("{error:#}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_test_has_a_database_of_its_own_and_typed_answers() {
        let (one, other) = (TestDatabase::create(), TestDatabase::create());
        one.execute("CREATE TABLE t (x bigint, name text); INSERT INTO t VALUES (1, 'a'), (2, 'b')");
        assert_eq!(one.rows::<(i64, String)>("SELECT * FROM t ORDER BY x"), [(1, "a".to_owned()), (2, "b".to_owned())]);
        assert_eq!((one.count("t WHERE x > 1"), one.text("SELECT max(name) FROM t")), (1, "b".to_owned()));
        assert_eq!(other.count("pg_class WHERE relname = 't'"), 0);
    }

    #[test]
    fn a_database_is_gone_with_its_test() {
        let (kept, ended) = (TestDatabase::create(), TestDatabase::create());
        let there = format!("pg_database WHERE datname = '{}'", ended.name);
        // A connection that is open does not keep it.
        assert_eq!((kept.count(&there), ended.value::<i32>("SELECT 1")), (1, 1));
        drop(ended);
        assert_eq!(kept.count(&there), 0);
    }

    #[test]
    fn copies_have_what_was_filled_in_once_and_go_their_own_ways() {
        let fill = |url: &str| {
            let model = Database::new(url, ANSWER_LIMIT).unwrap();
            model.execute("CREATE TABLE t (x bigint); INSERT INTO t VALUES (1)").unwrap();
        };
        let (one, other) = (TestDatabase::copy("t", fill), TestDatabase::copy("t", |_| panic!("filled again")));
        one.execute("DELETE FROM t");
        assert_eq!((one.count("t"), other.count("t")), (0, 1));
    }

    #[tokio::test]
    async fn a_task_may_query_and_an_error_does_not_end_it() {
        let database = TestDatabase::create();
        let wrong = database.database.value::<i64>("SELECT nonsense").unwrap_err();
        assert!(format!("{wrong:#}").contains("nonsense"), "{wrong:#}");
        assert_eq!(database.value::<i32>("SELECT 1"), 1);
    }
}
