//! What a coordinator keeps in memory of people and tokens, so that no call waits for the database to know who makes it.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use tandem_domain::access::{
    Denial, Identity, PersonRole, TokenRole,
    identity::Person,
    judge::{Kind, StoredToken, judge, standing},
    session::SecretHash,
    token::{Token, TokenId},
};

use crate::store::{
    Conn, DbResult,
    sessions::{self, Holder, SessionRow},
    tokens::{self, KnownRow, LoginRow},
};

/// As it was read; it is read again when `version` has changed.
#[derive(Default)]
pub(super) struct Known {
    pub(super) version: Option<i64>,
    tokens: HashMap<TokenId, (StoredToken, Option<Instant>)>,
    logins: HashMap<String, (Person, bool)>,
    sessions: HashMap<SecretHash, (Holder, Instant)>,
}

impl Known {
    /// The version first: a change that comes between is read again.
    pub(super) async fn read(conn: &mut Conn) -> DbResult<Self> {
        let version = tokens::version(conn).await?;
        let (tokens, logins) = (tokens::known(conn).await?, tokens::logins(conn).await?);
        let sessions = sessions::known(conn).await?;
        let now = Instant::now();
        let tokens = tokens.into_iter().filter_map(|row| token(row, now)).collect();
        let logins = logins.into_iter().filter_map(login).collect();
        let sessions = sessions.into_iter().filter_map(|row| session(row, now)).collect();
        Ok(Self { version, tokens, logins, sessions })
    }

    /// Whom a session stands for, if it has not ended.
    pub(super) fn session(&self, hash: &SecretHash, now: Instant) -> Result<Holder, Denial> {
        let session = self.sessions.get(hash).filter(|(_, until)| *until > now);
        session.map(|(holder, _)| holder.clone()).ok_or(Denial::SessionOver)
    }

    /// Who presents a token.
    pub(super) fn judge(&self, token: &Token, now: Instant) -> Result<Identity, Denial> {
        judge(token, self.stored(&token.id(), now).as_ref())
    }

    /// Whose a token is, good or not.
    pub(super) fn owner(&self, id: &TokenId) -> Option<String> {
        match &self.tokens.get(id)?.0.kind {
            Kind::Person { name, .. } => Some(name.clone()),
            Kind::Worker | Kind::Scrape => None,
        }
    }

    pub(super) fn has(&self, id: &TokenId) -> bool {
        self.tokens.contains_key(id)
    }

    /// Who a token that was good stands for now.
    pub(super) fn standing(&self, id: &TokenId, now: Instant) -> Result<Identity, Denial> {
        standing(&self.stored(id, now).ok_or(Denial::Unknown)?)
    }

    fn stored(&self, id: &TokenId, now: Instant) -> Option<StoredToken> {
        let (stored, until) = self.tokens.get(id)?;
        let is_expired = stored.is_expired || until.is_some_and(|until| until <= now);
        Some(StoredToken { is_expired, ..stored.clone() })
    }

    /// The person that an account of the box is linked to.
    pub(super) fn person_of(&self, account: &str) -> Option<Result<Person, Denial>> {
        let (person, is_disabled) = self.logins.get(account)?;
        Some(if *is_disabled { Err(Denial::Disabled(person.name.clone())) } else { Ok(person.clone()) })
    }
}

/// A row that cannot be right opens nothing.
fn token(row: KnownRow, now: Instant) -> Option<(TokenId, (StoredToken, Option<Instant>))> {
    let stored = (|| {
        let id = TokenId::parse(&row.id).ok()?;
        let role: TokenRole = row.role.parse().ok()?;
        let owner = match (row.person, row.person_role) {
            (Some(name), Some(role)) => Some((name, role.parse::<PersonRole>().ok()?, row.is_disabled)),
            _ => None,
        };
        let kind = Kind::of(role, owner, row.once)?;
        let hash = row.hash.try_into().ok()?;
        let is_expired = row.seconds_left.is_some_and(|left| left <= 0.0);
        Some(StoredToken { id, hash, kind, is_revoked: row.is_revoked, before_restore: row.before_restore, is_expired })
    })();
    let Some(stored) = stored else {
        tracing::error!(token = row.id, "a row of `tokens` is damaged, or of a newer version: that token is not taken");
        return None;
    };
    // One that lives for thousands of years lives long enough.
    let left = row.seconds_left.and_then(|left| Duration::try_from_secs_f64(left.max(0.0)).ok());
    let until = left.and_then(|left| now.checked_add(left));
    Some((stored.id.clone(), (stored, until)))
}

fn login(row: LoginRow) -> Option<(String, (Person, bool))> {
    let role = row.role.parse().ok()?;
    Some((row.login, (Person::without_token(row.name, role), row.is_disabled)))
}

fn session(row: SessionRow, now: Instant) -> Option<(SecretHash, (Holder, Instant))> {
    let left = Duration::try_from_secs_f64(row.seconds_left.max(0.0)).ok()?;
    Some((row.hash, (row.holder, now.checked_add(left)?)))
}
