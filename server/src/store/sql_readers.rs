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

/// Nobody logs in as it any more, and who has is cut off.
pub(crate) async fn close(conn: &mut Conn, name: &str) -> DbResult<()> {
    raw(conn, &format!("ALTER ROLE {} NOLOGIN PASSWORD NULL", quoted(name))).await?;
    sqlx::query_scalar!(
        r#"SELECT count(pg_terminate_backend(pid)) AS "ended!" FROM pg_stat_activity WHERE usename = $1"#,
        name
    )
    .fetch_one(conn)
    .await
    .map(drop)
}

/// Takes the role away, with what it has made in this database.
pub(crate) async fn remove(conn: &mut Conn, name: &str) -> DbResult<()> {
    // Who may drop what is somebody's is a member of that one.
    raw(conn, &format!("GRANT {} TO CURRENT_USER", quoted(name))).await?;
    raw(conn, &format!("DROP OWNED BY {}", quoted(name))).await?;
    raw(conn, &format!("DROP ROLE {}", quoted(name))).await
}

/// Takes from everybody but the coordinator what reads nothing: locks that it would wait for, and objects that fill the disk. Only
/// their owner may, a superuser; for another one nothing changes.
pub(crate) async fn narrow(conn: &mut Conn) -> DbResult<()> {
    let names = sqlx::query_scalar!(
        r#"SELECT p.oid::regprocedure::text AS "name!" FROM pg_proc p
           WHERE p.pronamespace = 'pg_catalog'::regnamespace AND pg_has_role(p.proowner, 'USAGE')
             AND p.proname ~ '^(pg_(try_)?advisory|lo_|loread|lowrite)'"#
    )
    .fetch_all(&mut *conn)
    .await?;
    for name in names {
        raw(conn, &format!("REVOKE EXECUTE ON FUNCTION {name} FROM PUBLIC")).await?;
        raw(conn, &format!("GRANT EXECUTE ON FUNCTION {name} TO {}", super::runtime_role::ROLE)).await?;
    }
    Ok(())
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
