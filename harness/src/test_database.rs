use std::{sync::Arc, time::Duration};

use sqlx::{FromRow, postgres::PgRow};
use tempfile::TempDir;

use crate::{
    database::Database,
    shared_postgres::{SharedPostgres, open_folder},
};

const ANSWER_WITHIN: Duration = Duration::from_secs(60);

/// An empty database of its own for one test, on the Postgres that all tests of the binary share. Queries block; what
/// goes wrong panics.
///
/// Types are those of sqlx: `i64` for bigint and `count(*)`, `i32` for integer, `String` for text. An enum is read as
/// `column::text`.
#[derive(Debug)]
pub struct TestDatabase {
    // Dropped in this order: the connection before the server.
    database: Database,
    name: String,
    postgres: Arc<SharedPostgres>,
    /// For the files of a coordinator that uses the database.
    pub folder: TempDir,
}

impl TestDatabase {
    /// # Panics
    /// When Postgres is not installed or does not start.
    #[must_use]
    pub fn create() -> Self {
        let create = || {
            let postgres = SharedPostgres::get()?;
            let name = postgres.create_database()?;
            let database = Database::new(&postgres.postgres.url(&name), ANSWER_WITHIN)?;
            anyhow::Ok(Self { database, name, postgres, folder: open_folder("tandem-test.")? })
        };
        create().unwrap_or_else(|error| panic!("no database for this test: {error:#}"))
    }

    /// Its URL, with the password.
    #[must_use]
    pub fn url(&self) -> String {
        self.url_of(&self.name)
    }

    /// The URL of another database, which may not exist.
    #[must_use]
    pub fn url_of(&self, name: &str) -> String {
        self.postgres.postgres.url(name)
    }

    /// Runs one statement, or several with semicolons between.
    ///
    /// # Panics
    /// When the database refuses it.
    pub fn execute(&self, sql: &str) {
        checked(self.database.execute(sql));
    }

    /// All rows of a query.
    ///
    /// # Panics
    /// When the database refuses it, or the rows have other types.
    #[must_use]
    pub fn rows<T>(&self, sql: &str) -> Vec<T>
    where
        T: for<'r> FromRow<'r, PgRow> + Send + Unpin,
    {
        checked(self.database.rows(sql))
    }

    /// The only column of all rows.
    ///
    /// # Panics
    /// As [`rows`](Self::rows).
    #[must_use]
    pub fn values<T>(&self, sql: &str) -> Vec<T>
    where
        (T,): for<'r> FromRow<'r, PgRow>,
        T: Send + Unpin,
    {
        checked(self.database.values(sql))
    }

    /// The only column of the only row.
    ///
    /// # Panics
    /// As [`rows`](Self::rows), and when there is another number of rows.
    #[must_use]
    pub fn value<T>(&self, sql: &str) -> T
    where
        (T,): for<'r> FromRow<'r, PgRow>,
        T: Send + Unpin,
    {
        checked(self.database.value(sql))
    }

    /// The only text of the only row, as [`value`](Self::value).
    ///
    /// # Panics
    /// As [`value`](Self::value).
    #[must_use]
    pub fn text(&self, sql: &str) -> String {
        self.value(sql)
    }

    /// How many rows there are `from` a table, with its conditions: `count("jobs WHERE name = 'a'")`.
    ///
    /// # Panics
    /// As [`value`](Self::value).
    #[must_use]
    pub fn count(&self, from: &str) -> i64 {
        self.value(&format!("SELECT count(*) FROM {from}"))
    }
}

fn checked<T>(answer: anyhow::Result<T>) -> T {
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

    #[tokio::test]
    async fn a_task_may_query_and_an_error_does_not_end_it() {
        let database = TestDatabase::create();
        let wrong = database.database.value::<i64>("SELECT nonsense").unwrap_err();
        assert!(format!("{wrong:#}").contains("nonsense"), "{wrong:#}");
        assert_eq!(database.value::<i32>("SELECT 1"), 1);
    }
}
