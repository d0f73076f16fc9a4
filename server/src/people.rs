//! People and tokens, at a person's request.

use std::time::Duration;

use tandem_domain::access::{
    PersonRole, TokenRole,
    identity::Person,
    name,
    token::{RANDOM_BYTES, Token, TokenId},
};

use crate::{
    cancel,
    error::{Error, Result},
    store::{
        Conn, Store,
        audit::{self, Entry},
        people::{self, PersonRow},
        retry,
        tokens::{self, NewToken, TokenRow},
    },
};

/// Good tokens: of one person, and of the house. All are kept in memory by every coordinator.
const TOKENS_OF_ONE: i64 = 100;
const TOKENS_OF_ALL: i64 = 20_000;
/// Longer than any token is meant to live; `expires_in` is added to a date.
const EXPIRES_MAX: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// What to change of a person; what is `None` stays as it is.
#[derive(Clone, Debug, Default)]
pub(crate) struct Change {
    pub(crate) name: String,
    pub(crate) create: bool,
    pub(crate) role: Option<String>,
    /// Empty: no account.
    pub(crate) login: Option<String>,
    pub(crate) disabled: Option<bool>,
}

impl Change {
    fn in_words(&self) -> String {
        let mut words = vec![if self.create { "made" } else { "changed" }.to_owned()];
        words.extend(self.role.as_ref().map(|role| format!("role {role}")));
        words.extend(self.login.as_ref().map(|login| format!("account {login:?}")));
        words.extend(self.disabled.map(|disabled| if disabled { "disabled" } else { "enabled" }.to_owned()));
        words.join(", ")
    }
}

/// Makes or changes a person; with how many jobs were cancelled, because nobody else wants them.
///
/// # Errors
/// `Invalid` for a wrong name or role, `Conflict` for a person who is there, `NotFound` for one who is not.
pub(crate) async fn set_person(store: &Store, by: &Person, change: &Change) -> Result<(PersonRow, usize)> {
    name::check("a person", &change.name).map_err(Error::Invalid)?;
    let role = change.role.as_deref().map(person_role).transpose()?;
    let who = &change.name;
    let login = change.login.as_deref().map(str::trim);
    name::check_login(login.unwrap_or_default()).map_err(Error::Invalid)?;
    let row = retry(|| async {
        let mut tx = store.begin().await?;
        if change.create {
            let role =
                role.ok_or_else(|| Error::Invalid(format!("`{who}` needs a role: reader, submitter or admin")))?;
            if !people::insert(&mut tx, who, role.word()).await? {
                return Err(Error::Conflict(format!(
                    "there is a person `{who}` already; `tandem user list` shows all"
                )));
            }
        } else if let Some(role) = role
            && !people::set_role(&mut tx, who, role.word()).await?
        {
            return Err(nobody(who));
        }
        if let Some(login) = login {
            link(&mut tx, who, login).await?;
        }
        if let Some(disabled) = change.disabled
            && !people::set_disabled(&mut tx, who, disabled).await?
        {
            return Err(nobody(who));
        }
        let row = people::list(&mut tx, Some(who)).await?.pop().ok_or_else(|| nobody(who))?;
        let said = Entry::done(by, "People/SetPerson", change.in_words(), who);
        audit::append(&mut tx, &[said]).await?;
        tx.commit().await?;
        Ok(row)
    })
    .await?;
    tracing::info!(by = by.name, person = who, ?change, "a person was changed");
    let cancelled = match change.disabled {
        Some(true) => cancel::cancel_all_of(store, who, &by.name).await?,
        _ => 0,
    };
    Ok((row, cancelled))
}

/// Makes an account of the box this person, or with an empty `login` none.
async fn link(tx: &mut Conn, who: &str, login: &str) -> Result<()> {
    if let Some(other) = people::of_login(tx, login).await?
        && other != who
    {
        let message = format!("the account {login} is linked to `{other}`; `tandem user unlink {other}` ends that");
        return Err(Error::Conflict(message));
    }
    if !people::set_login(tx, who, Some(login).filter(|login| !login.is_empty())).await? {
        return Err(nobody(who));
    }
    if !login.is_empty() {
        people::take_over(tx, &name::of_login(login), who).await?;
    }
    Ok(())
}

fn nobody(who: &str) -> Error {
    Error::NotFound(format!("there is no person `{who}`; `tandem user list` shows all, `tandem user add` makes one"))
}

fn person_role(word: &str) -> Result<PersonRole> {
    word.parse().map_err(|expected| Error::Invalid(format!("`{word}`: {expected}")))
}

/// What a new token is to be.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) name: String,
    /// Empty: for a person, its role.
    pub(crate) role: String,
    /// Empty: who asks.
    pub(crate) person: String,
    pub(crate) expires_in: Option<Duration>,
}

/// Makes a token, which is returned and stored nowhere.
///
/// # Errors
/// `Forbidden` for a token of somebody else, or of a role that who asks does not have.
pub(crate) async fn new_token(store: &Store, by: &Person, wanted: &Wanted) -> Result<(Token, TokenRow)> {
    name::check("a token", &wanted.name).map_err(Error::Invalid)?;
    if wanted.expires_in.is_some_and(|span| span.is_zero() || span > EXPIRES_MAX) {
        return Err(Error::Invalid("a token lives for a second at least and a hundred years at most".to_owned()));
    }
    let role = match wanted.role.as_str() {
        "" => None,
        word => Some(word.parse::<TokenRole>().map_err(|expected| Error::Invalid(format!("`{word}`: {expected}")))?),
    };
    if let Some(role @ (TokenRole::Worker | TokenRole::Scrape)) = role {
        if !by.is_admin() {
            return Err(Error::Forbidden(format!(
                "a token of the role {role} needs the role admin; you are {}",
                by.role
            )));
        }
        if !wanted.person.is_empty() {
            return Err(Error::Invalid(format!("a token of the role {role} is nobody's; leave the person out")));
        }
        return insert(store, by, wanted, role, None).await;
    }
    let who = if wanted.person.is_empty() { &by.name } else { &wanted.person };
    if *who != by.name && !by.is_admin() {
        return Err(Error::Forbidden(format!(
            "a token of `{who}` is made by `{who}` or an admin; you are {}",
            by.name
        )));
    }
    let person = people::list(&mut *store.reader().await?, Some(who)).await?.pop();
    let person = person.ok_or_else(|| match name::check("a person", who) {
        Ok(()) => nobody(who),
        Err(_) => Error::Refused(format!(
            "{who} is an account of the box and needs no token there; for elsewhere an admin makes a person of it: tandem \
             user add NAME --role ROLE --login {}",
            who.trim_start_matches(&name::of_login(""))
        )),
    })?;
    let has = person_role(&person.role)?.min(if *who == by.name { by.role } else { PersonRole::Admin });
    let role = match role {
        Some(TokenRole::Person(role)) if role > has => {
            return Err(Error::Forbidden(format!("`{who}` has the role {has}, and no token of it allows more")));
        }
        Some(role) => role,
        None => TokenRole::Person(has),
    };
    insert(store, by, wanted, role, Some(who)).await
}

/// A token that nobody has had before.
pub(crate) fn fresh(role: TokenRole) -> Result<Token> {
    let mut random = [0; RANDOM_BYTES];
    getrandom::fill(&mut random).map_err(|error| Error::Bug(format!("no random numbers: {error}")))?;
    Ok(Token::new(role, &random))
}

async fn insert(
    store: &Store,
    by: &Person,
    wanted: &Wanted,
    role: TokenRole,
    person: Option<&str>,
) -> Result<(Token, TokenRow)> {
    let mut tx = store.begin().await?;
    let (own, all) = tokens::count_good(&mut tx, person).await?;
    if own >= TOKENS_OF_ONE || all >= TOKENS_OF_ALL {
        return Err(Error::Full(format!(
            "there are {own} good tokens of this person and {all} in all; at most {TOKENS_OF_ONE} and {TOKENS_OF_ALL} are \
             kept: revoke some"
        )));
    }
    let token = fresh(role)?;
    let new = NewToken {
        token: &token,
        role: role.word(),
        person,
        name: &wanted.name,
        made_by: &by.name,
        expires_in: wanted.expires_in,
        once: false,
        // Not where it takes the other's place, and not where it is somebody else's.
        parent: by.token.as_ref().filter(|_| !by.once && person == Some(by.name.as_str())),
    };
    if !tokens::insert(&mut tx, &new).await? {
        return Err(Error::Conflict("the new token's id is taken, by chance; ask again".to_owned()));
    }
    if let (true, Some(used)) = (by.once, &by.token) {
        // In the same transaction: of two that exchange it at once, one finds that it is revoked.
        if !tokens::use_up(&mut tx, used).await? {
            return Err(Error::Forbidden(format!("the token {used} was exchanged before; a new one is needed")));
        }
    }
    let row = tokens::list(&mut tx, None, Some(&token.id())).await?.pop();
    let object = format!("{} {}, role {role}", token.id(), wanted.name);
    audit::append(&mut tx, &[Entry::done(by, "People/NewToken", object, person.unwrap_or_default())]).await?;
    tx.commit().await?;
    let row = row.ok_or_else(|| Error::Bug("a token that was just stored is not there".to_owned()))?;
    tracing::info!(by = by.name, token = row.id, role = row.role, person, name = row.name, "a token was made");
    Ok((token, row))
}

/// One's own tokens; an admin sees all.
///
/// # Errors
/// `Forbidden` for all tokens, if who asks is no admin.
pub(crate) async fn list_tokens(store: &Store, by: &Person, all: bool) -> Result<Vec<TokenRow>> {
    if all && !by.is_admin() {
        return Err(Error::Forbidden(format!("everybody's tokens are shown to admins; you are {}", by.role)));
    }
    Ok(tokens::list(&mut *store.reader().await?, Some(by.name.as_str()).filter(|_| !all), None).await?)
}

/// Revokes a token; twice is once.
///
/// # Errors
/// `NotFound` for one that is not there, or is somebody else's and who asks is no admin.
pub(crate) async fn revoke_token(store: &Store, by: &Person, id: &str) -> Result<TokenRow> {
    let id = TokenId::parse(id.trim()).map_err(Error::Invalid)?;
    let mut tx = store.begin().await?;
    let found = tokens::list(&mut tx, None, Some(&id)).await?.pop();
    let whose =
        found.and_then(|token| Some(token.person.unwrap_or_default()).filter(|of| by.is_admin() || *of == by.name));
    let Some(whose) = whose else { return Err(no_token(&id)) };
    if tokens::revoke(&mut tx, &id).await? == 0 {
        return Err(no_token(&id));
    }
    let row = tokens::list(&mut tx, None, Some(&id)).await?.pop();
    audit::append(&mut tx, &[Entry::done(by, "People/RevokeToken", id.as_str(), &whose)]).await?;
    tx.commit().await?;
    tracing::info!(by = by.name, token = %id, "a token was revoked");
    row.ok_or_else(|| Error::Bug("a token that was just revoked is not there".to_owned()))
}

fn no_token(id: &TokenId) -> Error {
    Error::NotFound(format!("you have no token {id}; `tandem token list` shows yours"))
}
