//! The database of a stack, started without keeping the supervisor from its signals.

use anyhow::{Context, Result};
use tandem_durable::Mode;
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

/// For the coordinator, and for whoever looks into the database.
pub(crate) fn write_password(home: &Home, postgres: &LocalPostgres) -> Result<()> {
    let path = home.database_password();
    let url = postgres.url(DATABASE);
    let password = password_of(&url).context("the database's address holds no password")?;
    tandem_durable::replace(&path, format!("{password}\n").as_bytes(), Mode::Private)
        .with_context(|| format!("cannot write {}", path.display()))
}

fn password_of(url: &str) -> Option<&str> {
    let (account, _) = url.split_once("://")?.1.split_once('@')?;
    account.split_once(':').map(|(_, password)| password)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_is_taken_out_of_the_address() {
        assert_eq!(password_of("postgres://tandem:s3cret@127.0.0.1:1/tandem"), Some("s3cret"));
        assert_eq!(password_of("postgres://tandem@127.0.0.1:1/tandem"), None);
    }
}
