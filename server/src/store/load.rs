//! Rows of a backup into an empty database, whose schema the migrations have made.
//!
//! Of an archive only rows are believed: tables, columns, sequences are those of the catalogue, and an archive that names others is
//! refused. References are checked when all rows are in, and all at once.

use std::collections::BTreeSet;

use tandem_archive::{Manifest, Partition, Sequence, Table};

use super::{
    Conn, DbResult,
    dump::{self, listed, quoted},
    runtime_role::raw,
};

/// Stands in a database until all of a backup is there; while it does, no coordinator starts.
const MARK: &str = "restore_unfinished";

/// What a database holds that is to be empty: nothing, a restore that broke off, or so many experiments or tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    Nothing,
    Unfinished,
    Experiments(i64),
    Tables(i64),
}

pub(crate) async fn look(conn: &mut Conn) -> DbResult<Found> {
    if is_unfinished(conn).await? {
        return Ok(Found::Unfinished);
    }
    let there: bool =
        sqlx::query_scalar("SELECT to_regclass('public.experiments') IS NOT NULL").fetch_one(&mut *conn).await?;
    if there {
        let count: i64 = sqlx::query_scalar("SELECT count(*) FROM experiments").fetch_one(&mut *conn).await?;
        if count > 0 {
            return Ok(Found::Experiments(count));
        }
    }
    let tables: i64 =
        sqlx::query_scalar("SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'S')")
            .fetch_one(conn)
            .await?;
    Ok(if tables == 0 { Found::Nothing } else { Found::Tables(tables) })
}

pub(crate) async fn is_unfinished(conn: &mut Conn) -> DbResult<bool> {
    sqlx::query_scalar("SELECT to_regclass($1) IS NOT NULL").bind(format!("public.{MARK}")).fetch_one(conn).await
}

pub(crate) async fn mark(conn: &mut Conn) -> DbResult<()> {
    raw(conn, &format!("CREATE TABLE {MARK} (since timestamptz NOT NULL DEFAULT clock_timestamp())")).await?;
    raw(
        conn,
        &format!(
            "COMMENT ON TABLE {MARK} IS 'A backup is being restored here: until that is done, nobody may use it.'"
        ),
    )
    .await
}

pub(crate) async fn unmark(conn: &mut Conn) -> DbResult<()> {
    raw(conn, &format!("DROP TABLE {MARK}")).await
}

pub(crate) async fn begin(conn: &mut Conn) -> DbResult<()> {
    raw(conn, "BEGIN").await?;
    raw(conn, "SET LOCAL statement_timeout = 0").await?;
    raw(conn, "SET LOCAL idle_in_transaction_session_timeout = '10min'").await?;
    raw(conn, "SET LOCAL datestyle = 'ISO, YMD'").await
}

pub(crate) async fn commit(conn: &mut Conn) -> DbResult<()> {
    raw(conn, "COMMIT").await
}

/// What an archive's tables are that the schema of its version has not, or the reverse.
pub(crate) async fn differing(conn: &mut Conn, manifest: &Manifest) -> DbResult<Option<String>> {
    let here = dump::tables(conn).await?;
    let of_archive: BTreeSet<&str> = manifest.tables.iter().map(|table| table.name.as_str()).collect();
    for Table { name, columns, .. } in &manifest.tables {
        match here.iter().find(|(known, _)| known == name) {
            None => return Ok(Some(format!("it has a table {name:?}"))),
            Some((_, known)) if known.iter().collect::<BTreeSet<_>>() != columns.iter().collect() => {
                return Ok(Some(format!("its table {name} has the columns {}", columns.join(", "))));
            }
            Some(_) => {}
        }
    }
    let missing = here.iter().find(|(name, _)| name != MARK && !of_archive.contains(name.as_str()));
    if let Some((name, _)) = missing {
        return Ok(Some(format!("it has no table {name}")));
    }
    let known: Vec<String> =
        sqlx::query_scalar("SELECT sequencename::text FROM pg_sequences WHERE schemaname = 'public'")
            .fetch_all(conn)
            .await?;
    let unknown = manifest.sequences.iter().find(|sequence| !known.contains(&sequence.name));
    Ok(unknown.map(|sequence| format!("it has a sequence {:?}", sequence.name)))
}

/// A reference between tables, to be checked again: its table, its name, and what it says.
pub(crate) type Reference = (String, String, String);

/// Forgets the references between tables, and empties these: migrations have put rows into some.
pub(crate) async fn clear(conn: &mut Conn, tables: &[Table]) -> DbResult<Vec<Reference>> {
    let references: Vec<Reference> = sqlx::query_as(
        "SELECT conrelid::regclass::text, conname::text, pg_get_constraintdef(oid) FROM pg_constraint
         WHERE contype = 'f' AND conparentid = 0 AND connamespace = 'public'::regnamespace ORDER BY 1, 2",
    )
    .fetch_all(&mut *conn)
    .await?;
    for (table, name, _) in &references {
        raw(conn, &format!("ALTER TABLE {table} DROP CONSTRAINT {}", quoted(name))).await?;
    }
    for table in tables {
        let table = quoted(&table.name);
        // What rows have brought about is among the rows.
        raw(conn, &format!("ALTER TABLE {table} DISABLE TRIGGER USER")).await?;
        raw(conn, &format!("DELETE FROM {table}")).await?;
    }
    Ok(references)
}

/// Makes the parts of tables that an archive had and nobody has made yet; what is of none goes where the rest goes.
pub(crate) async fn make_partitions(conn: &mut Conn, partitions: &[Partition]) -> DbResult<()> {
    let parents: Vec<String> = sqlx::query_scalar(
        "SELECT relname::text FROM pg_class WHERE relkind = 'p' AND relnamespace = 'public'::regnamespace",
    )
    .fetch_all(&mut *conn)
    .await?;
    for Partition { table, name, from, to } in partitions {
        let is_plain = name.strip_prefix(table).is_some_and(|rest| {
            rest.starts_with('_') && rest.bytes().all(|byte| byte == b'_' || byte.is_ascii_digit())
        });
        let known: bool =
            sqlx::query_scalar("SELECT to_regclass($1) IS NOT NULL").bind(quoted(name)).fetch_one(&mut *conn).await?;
        if known || !is_plain || !parents.contains(table) {
            continue;
        }
        let (from, to) = (from.to_rfc3339(), to.to_rfc3339());
        let (table, part) = (quoted(table), quoted(name));
        raw(conn, &format!("CREATE TABLE {part} PARTITION OF {table} FOR VALUES FROM ('{from}') TO ('{to}')")).await?;
    }
    Ok(())
}

/// Puts some rows of a table in; how many.
pub(crate) async fn rows(conn: &mut Conn, table: &Table, text: &[u8]) -> DbResult<u64> {
    let statement = format!("COPY {} ({}) FROM STDIN", quoted(&table.name), listed(&table.columns));
    let mut copy = conn.copy_in_raw(&statement).await?;
    let sent = copy.send(text).await.map(drop);
    if let Err(error) = sent {
        // The connection is of no more use either way.
        let _ = copy.abort("cannot be sent").await;
        return Err(error);
    }
    copy.finish().await
}

/// Checks all references, has numbers go on after those that were given out, and triggers work again.
pub(crate) async fn settle(
    conn: &mut Conn,
    tables: &[Table],
    references: &[Reference],
    sequences: &[Sequence],
) -> DbResult<()> {
    for table in tables {
        raw(conn, &format!("ALTER TABLE {} ENABLE TRIGGER USER", quoted(&table.name))).await?;
    }
    for (table, name, says) in references {
        raw(conn, &format!("ALTER TABLE {table} ADD CONSTRAINT {} {says}", quoted(name))).await?;
    }
    for Sequence { name, value } in sequences {
        let _: i64 = sqlx::query_scalar("SELECT setval($1::text::regclass, $2, true)")
            .bind(quoted(name))
            .bind(value)
            .fetch_one(&mut *conn)
            .await?;
    }
    Ok(())
}

/// Has the planner know what is there.
pub(crate) async fn analyze(conn: &mut Conn) -> DbResult<()> {
    raw(conn, "ANALYZE").await
}
