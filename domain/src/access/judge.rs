//! Whether a token is good, by what is stored of it.

use subtle::ConstantTimeEq;

use super::{
    identity::{Denial, Identity, Person},
    role::{PersonRole, TokenRole},
    token::{Token, TokenId},
};

/// What is stored of a token, without its name and dates.
#[derive(Clone, Debug)]
pub struct StoredToken {
    pub id: TokenId,
    pub hash: [u8; 32],
    pub kind: Kind,
    pub is_revoked: bool,
    /// It was revoked because the house was restored from a backup.
    pub before_restore: bool,
    /// By the clock of the database, which all coordinators share.
    pub is_expired: bool,
}

/// What a token stands for.
#[derive(Clone, Debug)]
pub enum Kind {
    Person { name: String, role: PersonRole, at_most: PersonRole, is_disabled: bool, once: bool },
    Worker,
    Scrape,
}

impl Kind {
    /// What a token of this role stands for; a person's is of `owner`: name, role, and whether it is disabled.
    pub fn of(role: TokenRole, owner: Option<(String, PersonRole, bool)>, once: bool) -> Option<Self> {
        match (role, owner) {
            (TokenRole::Person(at_most), Some((name, role, is_disabled))) => {
                Some(Self::Person { name, role, at_most, is_disabled, once })
            }
            (TokenRole::Worker, None) => Some(Self::Worker),
            (TokenRole::Scrape, None) => Some(Self::Scrape),
            _ => None,
        }
    }
}

/// Who presents `token`, if what is `stored` under its id says that it is good.
///
/// # Errors
/// Why it is not. One with the right id and a wrong secret is as unknown as one that was never made.
pub fn judge(token: &Token, stored: Option<&StoredToken>) -> Result<Identity, Denial> {
    let stored = stored.filter(|stored| bool::from(stored.hash.ct_eq(&token.hash()))).ok_or(Denial::Unknown)?;
    standing(stored)
}

/// Who a stored token stands for now: asked again while a stream of it is open.
///
/// # Errors
/// As [`judge`].
pub fn standing(stored: &StoredToken) -> Result<Identity, Denial> {
    let id = || stored.id.clone();
    if stored.is_revoked {
        return Err(if stored.before_restore { Denial::BeforeRestore(id()) } else { Denial::Revoked(id()) });
    }
    if stored.is_expired {
        return Err(Denial::Expired(id()));
    }
    match &stored.kind {
        Kind::Person { name, is_disabled: true, .. } => Err(Denial::Disabled(name.clone())),
        Kind::Person { name, role, at_most, is_disabled: false, once } => {
            let role = (*role).min(*at_most);
            Ok(Identity::Person(Person {
                name: name.clone(),
                role,
                token: Some(id()),
                once: *once,
                origin: String::new(),
            }))
        }
        Kind::Worker => Ok(Identity::Worker(id())),
        Kind::Scrape => Ok(Identity::Scrape(id())),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::token::RANDOM_BYTES, *};

    fn person(role: PersonRole, at_most: PersonRole) -> (Token, StoredToken) {
        let token = Token::new(TokenRole::Person(at_most), &[3; RANDOM_BYTES]);
        let kind = Kind::Person { name: "ann".to_owned(), role, at_most, is_disabled: false, once: false };
        let stored = StoredToken {
            id: token.id(),
            hash: token.hash(),
            kind,
            is_revoked: false,
            before_restore: false,
            is_expired: false,
        };
        (token, stored)
    }

    #[test]
    fn a_token_never_allows_more_than_its_person_or_itself() {
        use PersonRole::{Admin, Reader, Submitter};
        for (role, at_most, has) in
            [(Admin, Reader, Reader), (Reader, Admin, Reader), (Submitter, Submitter, Submitter)]
        {
            let (token, stored) = person(role, at_most);
            let Ok(Identity::Person(person)) = judge(&token, Some(&stored)) else { panic!("not taken") };
            assert_eq!((person.name.as_str(), person.role), ("ann", has));
        }
    }

    #[test]
    fn each_reason_to_refuse_is_told_only_to_who_has_the_secret() {
        let (token, good) = person(PersonRole::Admin, PersonRole::Admin);
        let mut random = [3; RANDOM_BYTES];
        random[RANDOM_BYTES - 1] = 4;
        let guessed = Token::new(TokenRole::Person(PersonRole::Admin), &random);
        assert_eq!(guessed.id(), token.id());
        assert_eq!(judge(&token, None), Err(Denial::Unknown));
        let revoked = StoredToken { is_revoked: true, ..good.clone() };
        let expired = StoredToken { is_expired: true, ..good.clone() };
        let mut disabled = good.clone();
        if let Kind::Person { is_disabled, .. } = &mut disabled.kind {
            *is_disabled = true;
        }
        assert_eq!(judge(&token, Some(&revoked)), Err(Denial::Revoked(token.id())));
        let former = StoredToken { before_restore: true, ..revoked.clone() };
        assert_eq!(judge(&token, Some(&former)), Err(Denial::BeforeRestore(token.id())));
        assert_eq!(judge(&token, Some(&expired)), Err(Denial::Expired(token.id())));
        assert_eq!(judge(&token, Some(&disabled)), Err(Denial::Disabled("ann".to_owned())));
        for stored in [&good, &revoked, &expired, &disabled] {
            assert_eq!(judge(&guessed, Some(stored)), Err(Denial::Unknown));
        }
    }
}
