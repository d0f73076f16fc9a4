use super::*;
use crate::store::schema::{OpenError, known_version};

#[tokio::test]
async fn a_newer_schema_is_refused_and_left_alone() {
    let database = TestStore::open().await;
    database.execute(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (9999, 'from the future', true, '\\x00', 0)",
    );
    let error = open(&database.url()).await.unwrap_err();
    assert!(matches!(error, OpenError::TooNew { found: 9999, .. }));
    let message = error.to_string();
    let known = format!("has schema version 9999, this server knows up to {}", known_version());
    assert!(message.contains(&known), "{message}");
    assert_eq!(database.count("_sqlx_migrations WHERE version = 9999"), 1);
}

#[tokio::test]
async fn a_database_that_is_not_there_is_named() {
    let database = TestStore::open().await;
    let error = open(&database.url_of("nowhere")).await.unwrap_err();
    assert!(matches!(error, OpenError::NoDatabase { .. }));
    assert!(error.to_string().contains("`createdb nowhere`"), "{error}");
}

#[tokio::test]
async fn a_person_can_read_the_schema() {
    let database = TestStore::open().await;
    let silent: Vec<String> = database.values(
        "SELECT relname::text FROM pg_class
         WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'v') AND relname <> '_sqlx_migrations'
           AND obj_description(oid, 'pg_class') IS NULL",
    );
    assert!(silent.is_empty(), "tables and views without a comment: {silent:?}");
    for view in ["job_overview", "attempt_overview", "fleet_overview"] {
        database.execute(&format!("SELECT * FROM {view}"));
    }
}
