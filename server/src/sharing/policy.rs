//! The policy in force, and how it is set.

use tandem_domain::{access::identity::Person, policy::HousePolicy};

use crate::{
    error::{Error, Result},
    store::{
        Conn, Store,
        audit::{self, Entry},
        notify::{Topic, notify},
        policies::{self, PolicyRow},
    },
};

/// The version in force, 0 in a house that has set none, and what it says.
pub(crate) async fn current(conn: &mut Conn) -> Result<(i64, HousePolicy)> {
    let Some(row) = policies::newest(conn).await? else { return Ok((0, HousePolicy::default())) };
    // A newer version of this program may have set it: it is better to share by what everybody knows than not at all.
    let policy = HousePolicy::parse(&row.toml).unwrap_or_else(|reason| {
        tracing::error!(
            version = row.version,
            reason,
            "cannot read the policy in force; that of a house without one is used"
        );
        HousePolicy::default()
    });
    Ok((row.version, policy))
}

/// What a request says of the policy that is to be replaced, and whether it is only a question.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setting {
    pub(crate) dry_run: bool,
    pub(crate) instead_of: Option<i64>,
}

/// Puts a policy in force; `None` for the row on a dry run.
///
/// # Errors
/// `Invalid` with place and reason for a wrong one, `Conflict` if another is in force than was to be replaced.
pub(crate) async fn set(
    store: &Store,
    by: &Person,
    toml: &str,
    setting: Setting,
) -> Result<(Option<PolicyRow>, HousePolicy)> {
    let policy = HousePolicy::parse(toml).map_err(|reason| Error::Invalid(format!("the policy is wrong: {reason}")))?;
    if setting.dry_run {
        return Ok((None, policy));
    }
    let mut tx = store.begin().await?;
    let version = policies::lock_version(&mut tx).await?;
    if let Some(expected) = setting.instead_of.filter(|expected| *expected != version) {
        return Err(Error::Conflict(format!(
            "version {version} of the policy is in force, not {expected}: somebody has set another; look at it with `tandem \
             policy show`"
        )));
    }
    let row = policies::insert(&mut tx, toml, &by.name).await?;
    audit::append(&mut tx, &[Entry::done(by, "Policies/Set", format!("version {}", row.version), "")]).await?;
    notify(&mut tx, &[Topic::Schedule, Topic::Watch]).await?;
    tx.commit().await?;
    tracing::info!(version = row.version, by = by.name, "a new policy is in force");
    Ok((Some(row), policy))
}
