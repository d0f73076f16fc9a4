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

/// Makes the role, or gives it a new password, and writes the URL to connect with to `out`, which only this account can read.
///
/// # Errors
/// When the name is none, the database's owner may make no roles, or the file cannot be written.
pub(crate) async fn make(store: &Store, name: &str, database_url: &str, out: &Path) -> Result<String> {
    let role = role_of(name)?;
    let mut random = [0; 24];
    getrandom::fill(&mut random).map_err(|error| Error::Bug(format!("no random numbers: {error}")))?;
    let password: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut url = Url::parse(database_url).map_err(|error| Error::Invalid(format!("--database-url: {error}")))?;
    let set = url.set_username(&role).and_then(|()| url.set_password(Some(&password)));
    set.map_err(|()| Error::Invalid("--database-url: it takes no name and password".to_owned()))?;
    let mut conn = store.owner().await?;
    let mut tx = conn.begin().await?;
    if sql_readers::exists(&mut tx, &role).await? && !sql_readers::is_reader(&mut tx, &role).await? {
        return Err(Error::Refused(format!("there is a role {role} that is none of these; choose another name")));
    }
    let was_there = sql_readers::put(&mut tx, &role, &password).await?;
    audit::append(&mut tx, &[entry(name, "sql-reader")]).await?;
    // The file first: a password that nobody has is worse than a file that opens nothing.
    tandem_durable::replace(out, format!("{url}\n").as_bytes(), tandem_durable::Mode::Private)
        .map_err(|error| Error::Refused(format!("cannot write {}: {error}", out.display())))?;
    tx.commit().await?;
    let what = if was_there { "has a new password" } else { "is made" };
    let file = out.display();
    Ok(format!("{role} {what}; it reads the schema `tandem_sql` alone: psql \"$(cat {file})\" -c '\\dv'"))
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
    sql_readers::remove(&mut tx, &role).await?;
    audit::append(&mut tx, &[entry(name, "sql-reader --remove")]).await?;
    tx.commit().await?;
    Ok(format!("{role} is gone"))
}
