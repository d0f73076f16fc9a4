//! The database of a stack, started without keeping the supervisor from its signals.

use anyhow::{Context, Result};
use tandem_local_postgres::LocalPostgres;

use crate::home::Home;

/// Name of the database in the private Postgres.
pub(crate) const DATABASE: &str = "tandem";

/// Starts the database on a thread of its own: this may take a minute, in which signals must be heard.
pub(crate) async fn start_database(home: &Home) -> Result<LocalPostgres> {
    let dir = home.postgres();
    let start = move || {
        let postgres = LocalPostgres::start(&dir)?;
        postgres.create_database(DATABASE)?;
        Ok(postgres)
    };
    tokio::task::spawn_blocking(start).await.context("the thread that starts the database broke off")?
}
