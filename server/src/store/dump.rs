//! All tables as rows of text, for a backup: by COPY, in one snapshot, whatever tables there are.
//!
//! The schema is not dumped: the migrations make it, so that an archive holds no statements.

use std::{pin::Pin, time::Duration};

use chrono::{DateTime, Utc};
use tandem_archive::{Partition, Sequence};
use tokio_stream::Stream;
use tokio_util::bytes::Bytes;

use super::{Conn, DbResult, runtime_role::raw};

/// Tables whose rows are worth nothing in another house: who is there at this moment, who is logged in, what devices are like.
pub(crate) const LEFT_OUT: [&str; 7] =
    ["_sqlx_migrations", "backups", "device_facts", "heartbeats", "samples", "web_codes", "web_sessions"];

/// Begins to read everything as it is at this moment, for `limit` at most; the moment, by the database's clock.
pub(crate) async fn begin(conn: &mut Conn, limit: Duration) -> DbResult<DateTime<Utc>> {
    raw(conn, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
    let limit = limit.as_millis();
    for setting in [
        format!("SET LOCAL statement_timeout = {limit}"),
        // A disk may be slow to take what was read.
        format!("SET LOCAL idle_in_transaction_session_timeout = {limit}"),
        "SET LOCAL timezone = 'UTC'".to_owned(),
        "SET LOCAL extra_float_digits = 1".to_owned(),
        "SET LOCAL bytea_output = 'hex'".to_owned(),
        "SET LOCAL datestyle = 'ISO, YMD'".to_owned(),
        "SET LOCAL intervalstyle = 'postgres'".to_owned(),
    ] {
        raw(conn, &setting).await?;
    }
    // The snapshot is taken by this statement.
    sqlx::query_scalar("SELECT clock_timestamp()").fetch_one(conn).await
}

pub(crate) async fn end(conn: &mut Conn) -> DbResult<()> {
    raw(conn, "COMMIT").await
}

/// About how much there is to read.
pub(crate) async fn size(conn: &mut Conn) -> DbResult<i64> {
    sqlx::query_scalar("SELECT pg_database_size(current_database())").fetch_one(conn).await
}

/// The tables that are backed up, each with its columns. A table in partitions is one.
pub(crate) async fn tables(conn: &mut Conn) -> DbResult<Vec<(String, Vec<String>)>> {
    // Not `query!`: of the catalogue, and the same for all tables to come.
    let tables: Vec<(String, Vec<String>)> = sqlx::query_as(
        "SELECT c.relname::text, array_agg(a.attname::text ORDER BY a.attnum)
         FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
         WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
           AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
         GROUP BY c.relname ORDER BY c.relname",
    )
    .fetch_all(conn)
    .await?;
    Ok(tables.into_iter().filter(|(name, _)| !LEFT_OUT.contains(&name.as_str())).collect())
}

/// The rows of a table, each with the end of its line.
pub(crate) async fn rows<'c>(
    conn: &'c mut Conn,
    table: &str,
    columns: &[String],
) -> DbResult<Pin<Box<dyn Stream<Item = DbResult<Bytes>> + Send + 'c>>> {
    conn.copy_out_raw(&format!("COPY (SELECT {} FROM {}) TO STDOUT", listed(columns), quoted(table))).await
}

/// Read last: what was given out to a row that was read is not above this.
pub(crate) async fn sequences(conn: &mut Conn) -> DbResult<Vec<Sequence>> {
    let rows: Vec<(String, i64)> = sqlx::query_as(
        "SELECT sequencename::text, last_value FROM pg_sequences
         WHERE schemaname = 'public' AND last_value IS NOT NULL ORDER BY 1",
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|(name, value)| Sequence { name, value }).collect())
}

/// The parts by time of tables that have such; others are the migrations' own.
pub(crate) async fn partitions(conn: &mut Conn) -> DbResult<Vec<Partition>> {
    let rows: Vec<(String, String, String)> = sqlx::query_as(
        "SELECT parent.relname::text, c.relname::text, pg_get_expr(c.relpartbound, c.oid)
         FROM pg_class c JOIN pg_inherits i ON i.inhrelid = c.oid JOIN pg_class parent ON parent.oid = i.inhparent
         WHERE c.relispartition AND c.relkind IN ('r', 'p') AND c.relnamespace = 'public'::regnamespace ORDER BY 1, 2",
    )
    .fetch_all(conn)
    .await?;
    let kept = rows.into_iter().filter(|(table, ..)| !LEFT_OUT.contains(&table.as_str()));
    let parsed = kept.filter_map(|(table, name, bound)| {
        let (from, to) = span(&bound)?;
        Some(Partition { table, name, from, to })
    });
    Ok(parsed.collect())
}

/// `FOR VALUES FROM ('2026-11-01 00:00:00+00') TO ('2026-12-01 00:00:00+00')`; `None` of any other.
fn span(bound: &str) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
    let (from, to) = bound.strip_prefix("FOR VALUES FROM ('")?.strip_suffix("')")?.split_once("') TO ('")?;
    let moment = |text| DateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%#z").ok().map(|at| at.to_utc());
    Some((moment(from)?, moment(to)?))
}

pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

pub(super) fn listed(columns: &[String]) -> String {
    columns.iter().map(|column| quoted(column)).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_by_time_are_read_and_others_are_not() {
        let (from, to) = span("FOR VALUES FROM ('2026-11-01 00:00:00+00') TO ('2026-12-01 00:00:00+00')").unwrap();
        assert_eq!(from, "2026-11-01T00:00:00Z".parse::<DateTime<Utc>>().unwrap());
        assert_eq!(to, "2026-12-01T00:00:00Z".parse::<DateTime<Utc>>().unwrap());
        for other in ["DEFAULT", "FOR VALUES IN ('a')", "FOR VALUES FROM ('x') TO ('y')", "FOR VALUES FROM (1) TO (2)"]
        {
            assert_eq!(span(other), None, "{other}");
        }
    }

    #[test]
    fn a_name_stays_one() {
        assert_eq!(quoted("a\"; DROP"), "\"a\"\"; DROP\"");
    }
}
