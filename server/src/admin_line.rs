//! `tandem-server admin-line`: the way in where there is no socket at hand, as on a host that has only the database.

use std::{path::Path, time::Duration};

use tandem_domain::access::{PersonRole, TokenRole};

use crate::{
    error::{Error, Result},
    people::fresh,
    store::{
        Store,
        audit::{self, Entry},
        people,
        tokens::{self, NewToken},
    },
};

/// Whom such a token is of.
const NAME: &str = "admin";
const GOOD_FOR: Duration = Duration::from_secs(3600);

/// Writes a token of an admin to `out`, which only this account can read: good for an hour, and to be exchanged once. The person `admin` is made for it,
/// or made an admin again.
///
/// # Errors
/// When the file cannot be written.
pub(crate) async fn admin_line(store: &Store, out: &Path) -> Result<()> {
    // What it wrote before may go; nothing else.
    if std::fs::read_to_string(out).map_or_else(|_| out.exists(), |text| !text.starts_with("tdm_")) {
        return Err(Error::Refused(format!("{} is there, and holds no token; name another file", out.display())));
    }
    let role = TokenRole::Person(PersonRole::Admin);
    let token = fresh(role)?;
    let mut tx = store.begin().await?;
    people::insert(&mut tx, NAME, PersonRole::Admin.word()).await?;
    // Whoever owns the database can change that anyway, and may have nobody else who can.
    people::set_role(&mut tx, NAME, PersonRole::Admin.word()).await?;
    people::set_disabled(&mut tx, NAME, false).await?;
    let made_by = "tandem-server admin-line";
    let new = NewToken {
        token: &token,
        role: role.word(),
        person: Some(NAME),
        name: "admin-line",
        made_by,
        expires_in: Some(GOOD_FOR),
        once: true,
        parent: None,
    };
    if !tokens::insert(&mut tx, &new).await? {
        return Err(Error::Conflict("the new token's id is taken, by chance; run this again".to_owned()));
    }
    let entry = Entry {
        who: made_by.to_owned(),
        origin: "the database".to_owned(),
        what: "admin-line".to_owned(),
        object: token.id().to_string(),
        whose: NAME.to_owned(),
        outcome: "done".to_owned(),
        ..Entry::default()
    };
    audit::append(&mut tx, &[entry]).await?;
    // The file first: a token that nobody has is worse than a file that opens nothing.
    let text = format!("{}\n", token.reveal());
    tandem_durable::replace(out, text.as_bytes(), tandem_durable::Mode::Private)
        .map_err(|error| Error::Refused(format!("cannot write {}: {error}", out.display())))?;
    tx.commit().await?;
    Ok(())
}
