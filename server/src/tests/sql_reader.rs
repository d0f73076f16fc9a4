//! A role that reads by SQL: what it sees, and what it never does.

use tandem_harness::Database;

use super::*;
use crate::{error::Error, sql_reader};

const LIMIT: std::time::Duration = std::time::Duration::from_secs(30);

/// The reader's own connection; roles are of the whole Postgres, which other tests share.
async fn reader(database: &TestStore, name: &str) -> Database {
    let file = database.folder.path().join("reader");
    sql_reader::make(&database.store, name, &database.url(), &file).await.unwrap();
    let text = std::fs::read_to_string(file).unwrap();
    let of = |key: &str| text.lines().find_map(|line| line.strip_prefix(&format!("{key}="))).unwrap().to_owned();
    let url = format!("postgres://{}:{}@{}:{}/{}", of("user"), of("password"), of("host"), of("port"), of("dbname"));
    Database::new(&url, LIMIT).unwrap()
}

fn refused(reader: &Database, sql: &str) -> String {
    format!("{:#}", reader.execute(sql).unwrap_err())
}

#[tokio::test]
async fn it_reads_what_was_measured_and_nothing_else() {
    let database = TestStore::open().await;
    let jobs = ids(&database.submit(&experiment(1)).await);
    let reader = reader(&database, "notebook").await;
    let found: Vec<(String, String, String)> =
        reader.rows("SELECT name, state, encoder FROM jobs ORDER BY stage, name LIMIT 1").unwrap();
    assert_eq!(found, [("encoder".to_owned(), "queued".to_owned(), "resnet-tiny".to_owned())]);
    let seed: String = reader
        .value(&format!("SELECT params ->> 'contrastive.temperature' FROM parameters WHERE job_id = '{}'", jobs[1]))
        .unwrap();
    assert_eq!(seed, "0.5");
    // Every view can be read.
    let views: Vec<(String,)> =
        reader.rows("SELECT viewname::text FROM pg_views WHERE schemaname = 'tandem_sql' ORDER BY viewname").unwrap();
    assert!(views.len() >= 12, "{views:?}");
    for (view,) in &views {
        reader.execute(&format!("SELECT * FROM tandem_sql.{view} LIMIT 1")).unwrap();
    }
    // No table can, whatever it is called, and none of it can be changed.
    let tables: Vec<(String,)> = database.rows("SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'");
    assert!(tables.iter().any(|(table,)| table == "tokens") && tables.len() > 40);
    for (table,) in &tables {
        let why = refused(&reader, &format!("SELECT 1 FROM public.{table} LIMIT 1"));
        assert!(why.contains("permission denied"), "{table}: {why}");
    }
    for sql in [
        "UPDATE tandem_sql.jobs SET priority = 9",
        "SET default_transaction_read_only = off; UPDATE tandem_sql.notes SET text = 'x'",
        "SET default_transaction_read_only = off; DELETE FROM tandem_sql.tags",
        "SET default_transaction_read_only = off; CREATE TABLE tandem_sql.x (y int)",
        "SET default_transaction_read_only = off; CREATE TABLE public.x (y int)",
        "SET ROLE tandem_runtime",
        // Locks that a coordinator waits for, and what is stored for good.
        "SELECT pg_advisory_lock(1)",
        "SELECT pg_try_advisory_xact_lock(1, 2)",
        "SELECT lo_create(0)",
        "SELECT lo_from_bytea(0, 'x')",
        "COPY (SELECT 1) TO PROGRAM 'true'",
    ] {
        let why = refused(&reader, sql);
        assert!(
            why.contains("permission denied") || why.contains("read-only") || why.contains("cannot"),
            "{sql}: {why}"
        );
    }
    let limit: String = reader.value("SELECT current_setting('statement_timeout')").unwrap();
    assert_eq!(limit, "1min");
    let audited = database.count("audit WHERE what = 'sql-reader' AND object = 'notebook'");
    assert_eq!(audited, 1);
}

#[tokio::test]
async fn a_new_password_ends_the_old_one_and_a_reader_that_is_removed_is_cut_off() {
    let database = TestStore::open().await;
    let old = reader(&database, "dashboard").await;
    old.execute("SELECT 1").unwrap();
    let new = reader(&database, "dashboard").await;
    assert!(refused(&old.again(), "SELECT 1").contains("password authentication failed"));
    new.execute("SELECT 1").unwrap();
    // Whatever it has made goes with it.
    database.execute("CREATE TABLE left_behind (x int); ALTER TABLE left_behind OWNER TO tandem_sql_dashboard");
    sql_reader::remove(&database.store, "dashboard").await.unwrap();
    assert_eq!(database.count("pg_class WHERE relname = 'left_behind'"), 0);
    assert!(new.execute("SELECT 1").is_err(), "it was connected");
    assert!(refused(&new.again(), "SELECT 1").contains("password authentication failed"));
    assert!(matches!(sql_reader::remove(&database.store, "dashboard").await, Err(Error::NotFound(_))));
    // A role that is none of these is not touched.
    database.execute("CREATE ROLE tandem_sql_taken NOLOGIN");
    let file = database.folder.path().join("taken");
    let taken = sql_reader::make(&database.store, "taken", &database.url(), &file).await;
    assert!(matches!(taken, Err(Error::Refused(_))) && !file.exists());
    std::fs::write(&file, "mine").unwrap();
    let other = sql_reader::make(&database.store, "other", &database.url(), &file).await;
    assert!(matches!(other, Err(Error::Refused(_))) && std::fs::read_to_string(&file).unwrap() == "mine");
    let wrong = sql_reader::make(&database.store, "a\"; DROP TABLE jobs", &database.url(), &file).await;
    assert!(matches!(wrong, Err(Error::Invalid(_))));
}
