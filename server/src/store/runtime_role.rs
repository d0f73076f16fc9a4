//! The role that the coordinator works as: it is no superuser, owns nothing, and may only add to the audit.
//!
//! Whoever `--database-url` names owns the schema and migrates it. Every other connection begins as the role made here.

use chrono::{DateTime, Datelike, Months, NaiveDate, Utc};
use sqlx::Connection;

use super::{Conn, DbResult};

/// One for all databases of a Postgres: its rights are given by each.
pub(super) const ROLE: &str = "tandem_runtime";
/// Of one coordinator at a time.
const LOCK: i64 = 0x7461_6e64_656d;
/// Partitions of the audit are made so far ahead; what is later goes into the default one.
const MONTHS_AHEAD: u32 = 24;

/// Makes the role, if it is not there, gives it its rights, and makes the coming months' partitions. Returns whether the
/// coordinator can work as it.
pub(super) async fn prepare(conn: &mut Conn, now: DateTime<Utc>) -> DbResult<bool> {
    let mut tx = conn.begin().await?;
    sqlx::query_scalar!(r#"SELECT pg_advisory_xact_lock($1)::text AS "locked""#, LOCK).fetch_one(&mut *tx).await?;
    for month in 0..MONTHS_AHEAD {
        make_partition(&mut tx, first_of(now, month)).await?;
    }
    tx.commit().await?;
    if !exists(conn).await?
        && let Err(error) = raw(conn, &format!("CREATE ROLE {ROLE} NOLOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE")).await
        // Another database of this Postgres may have made it meanwhile.
        && !exists(conn).await?
    {
        tracing::warn!(%error, "cannot make the role {ROLE}; the coordinator works as the owner of its tables. As a superuser: \
                                CREATE ROLE {ROLE}; GRANT {ROLE} TO CURRENT_USER");
        return Ok(false);
    }
    if !may_become(conn).await?
        && let Err(error) = raw(conn, &format!("GRANT {ROLE} TO CURRENT_USER")).await
    {
        tracing::warn!(%error, "cannot become the role {ROLE}; the coordinator works as the owner of its tables");
        return Ok(false);
    }
    let mut tx = conn.begin().await?;
    sqlx::query_scalar!(r#"SELECT pg_advisory_xact_lock($1)::text AS "locked""#, LOCK).fetch_one(&mut *tx).await?;
    for grant in [
        format!("GRANT USAGE ON SCHEMA public TO {ROLE}"),
        format!("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {ROLE}"),
        format!("GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO {ROLE}"),
        format!("REVOKE INSERT, UPDATE, DELETE ON _sqlx_migrations FROM {ROLE}"),
        format!("REVOKE UPDATE, DELETE ON audit FROM {ROLE}"),
    ] {
        raw(&mut tx, &grant).await?;
    }
    // Rows go in by way of the table itself.
    for partition in partitions(&mut tx).await? {
        raw(&mut tx, &format!("REVOKE ALL ON {partition} FROM {ROLE}")).await?;
    }
    tx.commit().await?;
    Ok(true)
}

async fn exists(conn: &mut Conn) -> DbResult<bool> {
    sqlx::query_scalar!(r#"SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1) AS "exists!""#, ROLE)
        .fetch_one(conn)
        .await
}

async fn may_become(conn: &mut Conn) -> DbResult<bool> {
    sqlx::query_scalar!(r#"SELECT pg_has_role($1, 'MEMBER') AS "may!""#, ROLE).fetch_one(conn).await
}

async fn make_partition(conn: &mut Conn, first: NaiveDate) -> DbResult<()> {
    let next = first + Months::new(1);
    let name = partition_of(first);
    let known =
        sqlx::query_scalar!(r#"SELECT to_regclass($1) IS NOT NULL AS "known!""#, name).fetch_one(&mut *conn).await?;
    if known {
        return Ok(());
    }
    let span = format!("FROM ('{first} 00:00+00') TO ('{next} 00:00+00')");
    raw(conn, &format!("CREATE TABLE {name} PARTITION OF audit FOR VALUES {span}")).await?;
    raw(conn, &format!("COMMENT ON TABLE {name} IS 'One month of the audit.'")).await
}

/// The partitions of the audit, as names that can stand in a statement.
async fn partitions(conn: &mut Conn) -> DbResult<Vec<String>> {
    sqlx::query_scalar!(
        r#"SELECT inhrelid::regclass::text AS "name!" FROM pg_inherits WHERE inhparent = 'audit'::regclass"#
    )
    .fetch_all(conn)
    .await
}

/// Drops the months before `first`; returns how many.
pub(crate) async fn drop_before(conn: &mut Conn, first: NaiveDate) -> DbResult<usize> {
    let mut dropped = 0;
    for partition in partitions(conn).await? {
        if partition.starts_with("audit_2") && partition < partition_of(first) {
            raw(conn, &format!("DROP TABLE {partition}")).await?;
            dropped += 1;
        }
    }
    Ok(dropped)
}

fn first_of(now: DateTime<Utc>, months_ahead: u32) -> NaiveDate {
    let today = now.date_naive();
    today.with_day(1).unwrap_or(today) + Months::new(months_ahead)
}

/// In the order of time by their letters, too.
fn partition_of(first: NaiveDate) -> String {
    first.format("audit_%Y_%m").to_string()
}

/// A statement that takes no parameters; what stands in it is this file's own.
pub(super) async fn raw(conn: &mut Conn, statement: &str) -> DbResult<()> {
    sqlx::raw_sql(sqlx::AssertSqlSafe(statement.to_owned())).fetch_optional(conn).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_have_names_in_their_order() {
        let now = "2026-11-30T23:59:59Z".parse().unwrap();
        let names: Vec<String> = (0..3).map(|ahead| partition_of(first_of(now, ahead))).collect();
        assert_eq!(names, ["audit_2026_11", "audit_2026_12", "audit_2027_01"]);
        assert!(names.is_sorted());
    }
}
