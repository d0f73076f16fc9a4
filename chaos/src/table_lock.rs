//! A lock on the tables that ranks report into, as a careless `LOCK TABLE` or an index build takes it.

use std::time::Duration;

use anyhow::Result;
use tandem_harness::Database;

/// The lock waits for reports that are being stored.
const LIMIT: Duration = Duration::from_secs(30);

/// Held by the transaction of a connection of its own.
#[derive(Debug)]
pub(crate) struct TableLock(Database);

impl TableLock {
    /// # Errors
    /// When it cannot be had in time.
    pub(crate) fn take(url: &str) -> Result<Self> {
        let database = Database::new(url, LIMIT)?;
        database.execute("BEGIN")?;
        database.execute("LOCK TABLE metrics, logs IN ACCESS EXCLUSIVE MODE")?;
        Ok(Self(database))
    }

    /// # Errors
    /// When the database does not answer.
    pub(crate) fn release(self) -> Result<()> {
        self.0.execute("ROLLBACK")
    }
}
