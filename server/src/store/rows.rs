//! The number of rows that a statement changed, which no caller can forget to look at.
//!
//! A guarded statement that changes no row means that the caller is stale. So nothing else in this folder calls sqlx's
//! `execute` (a test reads the sources): a statement either returns [`RowsChanged`] or is run by `run_any`.

use sqlx::{Postgres, postgres::PgArguments, query::Query};

use super::{Conn, DbResult};

#[derive(Clone, Copy)]
#[must_use = "a guarded statement that changed no row was refused"]
pub(super) struct RowsChanged(u64);

impl RowsChanged {
    /// The one row that it names was there, in the state that it asks for.
    pub(super) fn is_one(self) -> bool {
        self.0 == 1
    }

    pub(super) fn count(self) -> u64 {
        self.0
    }
}

pub(super) trait Statement {
    async fn run(self, conn: &mut Conn) -> DbResult<RowsChanged>;

    /// For statements that are right whatever number of rows they change: none too.
    async fn run_any(self, conn: &mut Conn) -> DbResult<()>;
}

impl Statement for Query<'_, Postgres, PgArguments> {
    async fn run(self, conn: &mut Conn) -> DbResult<RowsChanged> {
        Ok(RowsChanged(self.execute(conn).await?.rows_affected()))
    }

    async fn run_any(self, conn: &mut Conn) -> DbResult<()> {
        self.execute(conn).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    #[test]
    fn every_statement_of_the_store_says_what_its_row_count_means() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store");
        let mut files = 0;
        for file in fs::read_dir(folder).unwrap() {
            let file = file.unwrap().path();
            if !file.ends_with("rows.rs") {
                files += 1;
                let bare = fs::read_to_string(&file).unwrap().contains(".execute(");
                assert!(!bare, "{}: use `run` or `run_any` of rows.rs", file.display());
            }
        }
        assert!(files > 10, "{files}");
    }
}
