//! The policy in force, and how it is set.

use tandem_domain::{
    access::identity::Person,
    policy::{HousePolicy, changes},
};

pub(crate) use crate::store::policies::current;
use crate::{
    error::{Error, Result},
    store::{
        Conn, Store,
        audit::{self, Entry},
        notify::{Topic, notify},
        people,
        policies::{self, PolicyRow},
    },
};

/// What a request says beside the policy: of that which is to be replaced, and whether it is only a question.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setting<'a> {
    /// For messages.
    pub(crate) file_name: &'a str,
    pub(crate) dry_run: bool,
    pub(crate) instead_of: Option<i64>,
}

/// A policy that was set, or would be.
#[derive(Debug)]
pub(crate) struct Set {
    /// `None` on a dry run.
    pub(crate) row: Option<PolicyRow>,
    pub(crate) house: HousePolicy,
    /// What it changes of the one before it.
    pub(crate) changes: Vec<String>,
    /// What a person should know.
    pub(crate) notes: Vec<String>,
}

/// Puts a policy in force.
///
/// # Errors
/// `Invalid` with all places and reasons for a wrong one, `Conflict` if another is in force than was to be replaced.
pub(crate) async fn set(store: &Store, by: &Person, toml: &str, setting: Setting<'_>) -> Result<Set> {
    let file = if setting.file_name.is_empty() { "policy" } else { setting.file_name };
    let house = HousePolicy::check(toml, file);
    let house = house.map_err(|errors| Error::Invalid(format!("the policy is wrong: {errors}")))?;
    let mut tx = store.begin().await?;
    let version = policies::lock_version(&mut tx).await?;
    if let Some(expected) = setting.instead_of.filter(|expected| *expected != version) {
        return Err(Error::Conflict(format!(
            "version {version} of the policy is in force, not {expected}: somebody has set another; look at it with `tandem \
             policy show`"
        )));
    }
    let (_, before) = current(&mut tx).await?;
    let (changes, notes) = (changes(&before, &house), strangers(&mut tx, &house).await?);
    if setting.dry_run {
        return Ok(Set { row: None, house, changes, notes });
    }
    let row = policies::insert(&mut tx, toml, &by.name).await?;
    audit::append(&mut tx, &[Entry::done(by, "Policies/Set", format!("version {}", row.version), "")]).await?;
    notify(&mut tx, &[Topic::Schedule, Topic::Watch]).await?;
    tx.commit().await?;
    tracing::info!(version = row.version, by = by.name, ?changes, "a new policy is in force");
    Ok(Set { row: Some(row), house, changes, notes })
}

/// Those whom the policy names and nobody knows: they may come later, or be misspelt.
async fn strangers(conn: &mut Conn, house: &HousePolicy) -> Result<Vec<String>> {
    let known = people::list(conn, None).await?;
    let is_stranger = |who: &&str| !who.starts_with("login:") && known.iter().all(|person| person.name != **who);
    let note =
        |who: &str| format!("nobody here is called `{who}` (tandem user list): what is said of them waits for them");
    Ok(house.names().into_iter().filter(is_stranger).map(note).collect())
}
