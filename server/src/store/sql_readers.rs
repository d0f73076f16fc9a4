//! Roles that read the views of the schema `tandem_sql`, and nothing else.

use super::{Conn, DbResult, runtime_role::raw};

/// What all of them have; it logs nobody in.
const GROUP: &str = "tandem_readers";
/// Of one of them.
const CONNECTIONS: u32 = 10;
/// What one reads has to end within so long, unless it says otherwise for itself.
const STATEMENT_LIMIT: &str = "60s";

/// Makes a role of this name that logs in with this password, or gives the one that is there a new password. Returns whether it
/// was there.
pub(crate) async fn put(conn: &mut Conn, name: &str, password: &str) -> DbResult<bool> {
    if !exists(conn, GROUP).await? {
        raw(conn, &format!("CREATE ROLE {GROUP} NOLOGIN")).await?;
    }
    raw(conn, &format!("GRANT USAGE ON SCHEMA tandem_sql TO {GROUP}")).await?;
    raw(conn, &format!("GRANT SELECT ON ALL TABLES IN SCHEMA tandem_sql TO {GROUP}")).await?;
    let role = quoted(name);
    let was_there = exists(conn, name).await?;
    let verb = if was_there { "ALTER" } else { "CREATE" };
    raw(
        conn,
        &format!(
            "{verb} ROLE {role} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION CONNECTION LIMIT {CONNECTIONS} PASSWORD {}",
            literal(password)
        ),
    )
    .await?;
    raw(conn, &format!("GRANT {GROUP} TO {role}")).await?;
    for setting in [
        "search_path = tandem_sql".to_owned(),
        "default_transaction_read_only = on".to_owned(),
        format!("statement_timeout = '{STATEMENT_LIMIT}'"),
        format!("idle_in_transaction_session_timeout = '{STATEMENT_LIMIT}'"),
    ] {
        raw(conn, &format!("ALTER ROLE {role} SET {setting}")).await?;
    }
    Ok(was_there)
}

/// Whether this role is one of ours: another is not touched.
pub(crate) async fn is_reader(conn: &mut Conn, name: &str) -> DbResult<bool> {
    sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid JOIN pg_roles r ON r.oid = m.member
                          WHERE g.rolname = $1 AND r.rolname = $2 AND NOT r.rolsuper) AS "is!""#,
        GROUP,
        name
    )
    .fetch_one(conn)
    .await
}

pub(crate) async fn exists(conn: &mut Conn, name: &str) -> DbResult<bool> {
    sqlx::query_scalar!(r#"SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1) AS "exists!""#, name)
        .fetch_one(conn)
        .await
}

/// Takes the role away, and cuts off who is connected as it.
pub(crate) async fn remove(conn: &mut Conn, name: &str) -> DbResult<()> {
    raw(conn, &format!("ALTER ROLE {} NOLOGIN", quoted(name))).await?;
    sqlx::query_scalar!(
        r#"SELECT count(pg_terminate_backend(pid)) AS "ended!" FROM pg_stat_activity WHERE usename = $1"#,
        name
    )
    .fetch_one(&mut *conn)
    .await?;
    raw(conn, &format!("DROP ROLE {}", quoted(name))).await
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
