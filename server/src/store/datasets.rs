//! Data sets that people put into the store.

use chrono::{DateTime, Utc};

use super::{
    Conn, DbResult,
    rows::{RowsChanged, Statement},
};

#[derive(Clone, Debug)]
pub(crate) struct DatasetRow {
    pub(crate) name: String,
    pub(crate) owner: String,
    pub(crate) sha256: String,
    pub(crate) bytes: i64,
    pub(crate) arrived: i64,
    pub(crate) touched_at: DateTime<Utc>,
    pub(crate) stored_at: Option<DateTime<Utc>>,
    pub(crate) classes: Option<i64>,
    pub(crate) train: Option<i64>,
    pub(crate) test: Option<i64>,
}

/// Of one claim at a time, so that no two together exceed a limit.
const LOCK: i64 = 0x6461_7461;

pub(crate) async fn lock(conn: &mut Conn) -> DbResult<()> {
    sqlx::query_scalar!(r#"SELECT pg_advisory_xact_lock($1)::text AS "locked""#, LOCK).fetch_one(conn).await.map(drop)
}

/// All, or the one of that name.
pub(crate) async fn list(conn: &mut Conn, name: Option<&str>) -> DbResult<Vec<DatasetRow>> {
    sqlx::query_as!(
        DatasetRow,
        "SELECT name, owner, sha256, bytes, arrived, touched_at, stored_at, classes, train, test FROM datasets
         WHERE $1::text IS NULL OR name = $1 ORDER BY name",
        name
    )
    .fetch_all(conn)
    .await
}

/// Without the one of that name: bytes of a person's data sets, how many these are, and how many there are of all people.
pub(crate) async fn used(conn: &mut Conn, owner: &str, without: &str) -> DbResult<[i64; 3]> {
    let row = sqlx::query!(
        r#"SELECT LEAST(COALESCE(sum(bytes) FILTER (WHERE owner = $1), 0), 9223372036854775807)::bigint AS "bytes!",
                  count(*) FILTER (WHERE owner = $1) AS "own!", count(*) AS "all!"
           FROM datasets WHERE name <> $2"#,
        owner,
        without
    )
    .fetch_one(conn)
    .await?;
    Ok([row.bytes, row.own, row.all])
}

/// One that begins to arrive, in place of another of that owner that was begun and not stored.
pub(crate) async fn begin(conn: &mut Conn, name: &str, owner: &str, sha256: &str, bytes: i64) -> DbResult<bool> {
    sqlx::query!(
        "INSERT INTO datasets (name, owner, sha256, bytes) VALUES ($1, $2, $3, $4)
         ON CONFLICT (name) DO UPDATE SET sha256 = excluded.sha256, bytes = excluded.bytes, arrived = 0,
             touched_at = clock_timestamp()
         WHERE datasets.stored_at IS NULL AND datasets.owner = excluded.owner",
        name,
        owner,
        sha256,
        bytes,
    )
    .run(conn)
    .await
    .map(RowsChanged::is_one)
}

/// `false` if it does not arrive any more.
pub(crate) async fn touch(conn: &mut Conn, name: &str, sha256: &str, arrived: i64) -> DbResult<bool> {
    sqlx::query!(
        "UPDATE datasets SET arrived = $3, touched_at = clock_timestamp()
         WHERE name = $1 AND sha256 = $2 AND stored_at IS NULL",
        name,
        sha256,
        arrived
    )
    .run(conn)
    .await
    .map(RowsChanged::is_one)
}

/// It has arrived, with so many classes, training and test images. `false` if it does not arrive any more.
pub(crate) async fn finish(conn: &mut Conn, name: &str, sha256: &str, counts: [i64; 3]) -> DbResult<bool> {
    let [classes, train, test] = counts;
    sqlx::query!(
        "UPDATE datasets SET arrived = bytes, stored_at = clock_timestamp(), classes = $3, train = $4, test = $5
         WHERE name = $1 AND sha256 = $2 AND stored_at IS NULL",
        name,
        sha256,
        classes,
        train,
        test
    )
    .run(conn)
    .await
    .map(RowsChanged::is_one)
}

/// `false` if it is not there any more, or another one is.
pub(crate) async fn remove(conn: &mut Conn, name: &str, sha256: &str) -> DbResult<bool> {
    sqlx::query!("DELETE FROM datasets WHERE name = $1 AND sha256 = $2", name, sha256)
        .run(conn)
        .await
        .map(RowsChanged::is_one)
}

/// What is unfinished and had no bytes for a day, or none at all for ten minutes: name and checksum.
pub(crate) async fn forgotten(conn: &mut Conn) -> DbResult<Vec<(String, String)>> {
    let rows = sqlx::query!(
        "SELECT name, sha256 FROM datasets
         WHERE stored_at IS NULL
           AND touched_at < clock_timestamp() - CASE WHEN arrived = 0 THEN interval '10 minutes' ELSE interval '1 day' END
         ORDER BY name LIMIT 1000"
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.name, row.sha256)).collect())
}

/// Jobs that have not ended and are on this data set: how many, and the first one's id.
pub(crate) async fn needed_by(conn: &mut Conn, dataset: &str) -> DbResult<(i64, Option<String>)> {
    let row = sqlx::query!(
        r#"SELECT count(*) AS "count!", min(id::text) AS first FROM jobs
           WHERE state IN ('blocked', 'queued', 'paused', 'running') AND spec ->> 'dataset' = $1"#,
        dataset
    )
    .fetch_one(conn)
    .await?;
    Ok((row.count, row.first))
}
