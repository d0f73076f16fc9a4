//! Rows of an archive into an empty database, all or none.

use std::collections::HashMap;

use tandem_archive::{Manifest, Table};
use tokio::sync::mpsc::Receiver;

use super::{failed::Failed, unpack::Rows};
use crate::store::{Conn, load};

/// Puts the rows in as they come, and checks at the end that all that the manifest counts have come.
pub(super) async fn load(conn: &mut Conn, manifest: &Manifest, rows: &mut Receiver<Rows>) -> Result<u64, Failed> {
    load::begin(conn).await?;
    if let Some(how) = load::differing(conn, manifest).await? {
        return Err(Failed::damaged(format!(
            "the archive is not of the schema version {} that it names: {how}. Nothing of it is used",
            manifest.begin.schema
        )));
    }
    let references = load::clear(conn, &manifest.tables).await?;
    load::make_partitions(conn, &manifest.partitions).await?;
    let tables: HashMap<&str, &Table> = manifest.tables.iter().map(|table| (table.name.as_str(), table)).collect();
    let mut loaded: HashMap<&str, u64> = HashMap::new();
    while let Some(Rows { table, text }) = rows.recv().await {
        let Some((&name, &table)) = tables.get_key_value(table.as_str()) else {
            return Err(Failed::damaged(format!(
                "the archive has rows of a table {table:?} that its manifest does not name"
            )));
        };
        let count = load::rows(conn, table, &text).await.map_err(|error| wrong(name, &error))?;
        *loaded.entry(name).or_default() += count;
    }
    let short =
        manifest.tables.iter().find(|table| loaded.get(table.name.as_str()).copied().unwrap_or(0) != table.rows);
    if let Some(table) = short {
        let found = loaded.get(table.name.as_str()).copied().unwrap_or(0);
        return Err(Failed::damaged(format!(
            "the table {} has {found} rows in the archive, and {} were written",
            table.name, table.rows
        )));
    }
    load::settle(conn, &manifest.tables, &references, &manifest.sequences)
        .await
        .map_err(|error| wrong("all tables", &error))?;
    load::commit(conn).await?;
    Ok(loaded.values().sum())
}

fn wrong(table: &str, error: &sqlx::Error) -> Failed {
    Failed { message: format!("the database does not take the rows of {table}: {error}"), exit: 70 }
}
