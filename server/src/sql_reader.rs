//! `tandem-server sql-reader`: a role of Postgres that reads what was measured, and nothing that is secret.

use std::path::Path;

use sqlx::Connection as _;
use tandem_domain::access::name;
use url::Url;

use crate::{
    error::{Error, Result},
    store::{
        Store,
        audit::{self, Entry},
        sql_readers,
    },
};

const MADE_BY: &str = "tandem-server sql-reader";
/// Before each name: a role is of the whole Postgres, and another program may have one of that name.
const BEFORE: &str = "tandem_sql_";

fn role_of(name: &str) -> Result<String> {
    name::check("a reader", name).map_err(Error::Invalid)?;
    Ok(format!("{BEFORE}{name}"))
}

fn header(name: &str) -> String {
    format!("[{name}]\n")
}

/// As libpq reads it (PGSERVICEFILE), and whatever is built on that.
fn service(name: &str, url: &Url, role: &str, password: &str) -> String {
    let mut text = header(name);
    let mut line = |key: &str, value: &str| text.push_str(&format!("{key}={value}\n"));
    line("host", url.host_str().unwrap_or("localhost"));
    line("port", &url.port().unwrap_or(5432).to_string());
    line("dbname", url.path().trim_start_matches('/'));
    line("user", role);
    line("password", password);
    for (key, value) in url.query_pairs() {
        line(&key, &value);
    }
    text
}

fn entry(name: &str, what: &str) -> Entry {
    Entry {
        who: MADE_BY.to_owned(),
        origin: "the database".to_owned(),
        what: what.to_owned(),
        object: name.to_owned(),
        outcome: "done".to_owned(),
        ..Entry::default()
    }
}

/// Makes the role, or gives it a new password, and writes to `out`, which only this account can read, how to connect as it: a service
/// file of libpq, so that no password stands in a command line. Another file is not replaced.
///
/// # Errors
/// When the name is none, the database's owner may make no roles, or the file cannot be written.
pub(crate) async fn make(store: &Store, name: &str, database_url: &str, out: &Path) -> Result<String> {
    let role = role_of(name)?;
    let mut random = [0; 24];
    getrandom::fill(&mut random).map_err(|error| Error::Bug(format!("no random numbers: {error}")))?;
    let password: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    let url = Url::parse(database_url).map_err(|error| Error::Invalid(format!("--database-url: {error}")))?;
    let service = service(name, &url, &role, &password);
    if std::fs::read_to_string(out).map_or_else(|_| out.exists(), |text| !text.starts_with(&header(name))) {
        let out = out.display();
        return Err(Error::Refused(format!(
            "{out} is there, and is not what this wrote for {name}; name another file"
        )));
    }
    let mut conn = store.owner().await?;
    let mut tx = conn.begin().await?;
    if sql_readers::exists(&mut tx, &role).await? && !sql_readers::is_reader(&mut tx, &role).await? {
        return Err(Error::Refused(format!("there is a role {role} that is none of these; choose another name")));
    }
    let was_there = sql_readers::put(&mut tx, &role, &password).await?;
    sql_readers::narrow(&mut tx).await?;
    audit::append(&mut tx, &[entry(name, "sql-reader")]).await?;
    // The file first: a password that nobody has is worse than a file that opens nothing.
    tandem_durable::replace(out, service.as_bytes(), tandem_durable::Mode::Private)
        .map_err(|error| Error::Refused(format!("cannot write {}: {error}", out.display())))?;
    tx.commit().await?;
    let what = if was_there { "has a new password" } else { "is made" };
    let file = out.display();
    Ok(format!(
        "{role} {what}; it reads the schema `tandem_sql` alone: PGSERVICEFILE={file} psql service={name} -c '\\dv'"
    ))
}

/// Takes the role away.
///
/// # Errors
/// `NotFound` where there is none of this name.
pub(crate) async fn remove(store: &Store, name: &str) -> Result<String> {
    let role = role_of(name)?;
    let mut conn = store.owner().await?;
    let mut tx = conn.begin().await?;
    if !sql_readers::is_reader(&mut tx, &role).await? {
        return Err(Error::NotFound(format!("there is no reader {name}")));
    }
    sql_readers::close(&mut tx, &role).await?;
    audit::append(&mut tx, &[entry(name, "sql-reader --remove")]).await?;
    tx.commit().await?;
    // Whatever it has made elsewhere keeps the role, and not its way in.
    let mut tx = conn.begin().await?;
    let gone = sql_readers::remove(&mut tx, &role).await;
    gone.map_err(|error| {
        Error::Refused(format!(
            "nobody logs in as {role} any more; the role itself stays, as something is still its own: {error}"
        ))
    })?;
    tx.commit().await?;
    Ok(format!("{role} is gone"))
}
