use super::*;
use crate::store::schema::{OpenError, known_version};

#[tokio::test]
async fn a_newer_schema_is_refused_and_left_alone() {
    let database = TestStore::open().await;
    database.execute(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (9999, 'from the future', true, '\\x00', 0)",
    );
    let error = open(&database.url(), None).await.unwrap_err();
    assert!(matches!(error, OpenError::TooNew { found: 9999, .. }));
    let message = error.to_string();
    let known = format!("has schema version 9999, this server knows up to {}", known_version());
    assert!(message.contains(&known), "{message}");
    assert_eq!(database.count("_sqlx_migrations WHERE version = 9999"), 1);
}

#[tokio::test]
async fn a_database_that_is_not_there_is_named() {
    let database = TestStore::open().await;
    let error = open(&database.url_of("nowhere"), None).await.unwrap_err();
    assert!(matches!(error, OpenError::NoDatabase { .. }));
    assert!(error.to_string().contains("`createdb nowhere`"), "{error}");
}

#[tokio::test]
async fn a_database_that_cannot_serve_is_refused_with_the_reason() {
    let database = TestStore::open().await;
    let refusal = async |url: String| open(&url, None).await.err().unwrap();

    database.execute("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0");
    let latin = refusal(database.url_of("latin")).await;
    assert!(
        matches!(latin, OpenError::Encoding { .. }) && latin.to_string().contains("stores text as LATIN1"),
        "{latin}"
    );
    database.execute("DROP DATABASE latin");

    database.execute("CREATE DATABASE foreign_migrations");
    let foreign_url = database.url_of("foreign_migrations");
    let foreign = tandem_harness::Database::new(&foreign_url, std::time::Duration::from_secs(60)).unwrap();
    foreign.execute("CREATE TABLE _sqlx_migrations (id text)").unwrap();
    let refused = refusal(foreign_url).await;
    assert!(matches!(refused, OpenError::Foreign { .. }) && !refused.is_unavailable(), "{refused}");
    assert!(refused.to_string().contains("If another program uses that database"), "{refused}");

    database.execute("DROP TABLE results CASCADE");
    let incomplete = refusal(database.url()).await;
    assert!(matches!(incomplete, OpenError::Incomplete { .. }), "{incomplete}");
    assert!(incomplete.to_string().contains("but lacks the table results"), "{incomplete}");

    let (name, role) = (database.text("SELECT current_database()::text"), format!("few_{}", Uuid::new_v4().simple()));
    database.execute(&format!("CREATE ROLE {role} LOGIN SUPERUSER PASSWORD 'few' CONNECTION LIMIT 0"));
    database.execute(&format!("ALTER ROLE {role} NOSUPERUSER"));
    let url = database.url_of(&name);
    let (_, host) = url.rsplit_once('@').unwrap();
    let full = refusal(format!("postgres://{role}:few@{host}")).await;
    assert!(full.is_unavailable() && full.to_string().contains("too many connections for role"), "{full}");
    database.execute(&format!("DROP ROLE {role}"));
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
