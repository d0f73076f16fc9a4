//! Who calls, as far as it is known.

use super::{
    role::PersonRole,
    token::{Malformed, TokenId},
};

/// Who calls. Each kind holds what is known of it and nothing else.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Identity {
    /// Over TCP without a token.
    Nobody,
    Person(Person),
    Worker(TokenId),
    Scrape(TokenId),
}

/// A person, or an account of the box that is linked to none.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Person {
    /// What it submits is of this owner.
    pub name: String,
    pub role: PersonRole,
    /// `None` by the socket, where the kernel says who calls.
    pub token: Option<TokenId>,
    /// Its token is good for nothing but to make one other.
    pub once: bool,
    /// Where the call comes from, for the audit: an address, or the socket.
    pub origin: String,
}

impl Person {
    /// As the kernel says at the socket, or a row of people: with no token.
    pub fn without_token(name: String, role: PersonRole) -> Self {
        Self { name, role, token: None, once: false, origin: String::new() }
    }

    pub fn is_admin(&self) -> bool {
        self.role == PersonRole::Admin
    }

    /// Whether it may change what `owner` has submitted.
    pub fn may_change(&self, owner: &str) -> bool {
        self.is_admin() || (self.role >= PersonRole::Submitter && self.name == owner)
    }
}

impl Identity {
    /// For messages, events and logs.
    pub fn shown(&self) -> String {
        match self {
            Self::Nobody => "nobody".to_owned(),
            Self::Person(person) => person.name.clone(),
            Self::Worker(token) => format!("the worker of token {token}"),
            Self::Scrape(token) => format!("token {token}"),
        }
    }

    /// The token that it came with.
    pub fn token(&self) -> Option<&TokenId> {
        match self {
            Self::Nobody => None,
            Self::Person(person) => person.token.as_ref(),
            Self::Worker(token) | Self::Scrape(token) => Some(token),
        }
    }
}

/// Why a call is refused before it begins. Whoever is not known learns nothing about what is stored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denial {
    #[error(
        "this call needs a token: `tandem join URL FINGERPRINT` keeps yours, --token-file or TANDEM_TOKEN gives it for one \
         call; an admin makes one by `tandem token new`"
    )]
    NoToken,
    #[error("two tokens were sent; expected one")]
    TwoTokens,
    #[error("what was sent as a token is none: {0}")]
    Malformed(Malformed),
    /// Unknown or with another secret: which of the two is nobody's business.
    #[error("this token is not known here: it is another house's, or was never made")]
    Unknown,
    #[error("the token {0} has expired; an admin, or `tandem token new` while another is good, makes a new one")]
    Expired(TokenId),
    #[error("the token {0} was revoked; an admin can make a new one")]
    Revoked(TokenId),
    #[error(
        "the token {0} was made before this house was restored from a backup, and counts no more: an admin makes new ones, `tandem \
         token new NAME`, with `--role worker` for a worker, which begins with a new --state folder; `tandem join` takes a person's"
    )]
    BeforeRestore(TokenId),
    #[error("{0} was disabled by an admin")]
    Disabled(String),
    #[error(
        "the account {0} of this box may do nothing here; an admin can link it: tandem user add NAME --role ROLE --login {0}"
    )]
    UnknownLogin(String),
    #[error("{what} needs the role {needed}; {who} has the role {has}")]
    RoleTooLow { what: String, who: String, has: &'static str, needed: &'static str },
    #[error("{what} is for workers alone, with a token of the role worker")]
    WorkersOnly { what: String },
    #[error(
        "the token {0} is good for one thing: to be exchanged for another; `tandem join URL FINGERPRINT --token-file FILE` does that"
    )]
    Once(TokenId),
    #[error("this session has ended; log in again")]
    SessionOver,
    #[error("a rank asks for nothing of a coordinator; only its worker does")]
    Rank,
    #[error("too many wrong tokens from {0}; wait a moment. The right one is taken at once")]
    TooMany(String),
}

impl Denial {
    /// Whether who calls is not known, as opposed to known and not allowed.
    pub fn is_unknown(&self) -> bool {
        matches!(
            self,
            Self::NoToken
                | Self::TwoTokens
                | Self::Malformed(_)
                | Self::Unknown
                | Self::Expired(_)
                | Self::Revoked(_)
                | Self::BeforeRestore(_)
                | Self::Disabled(_)
                | Self::SessionOver
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_changes_ones_own_and_an_admin_everything() {
        let person = |name: &str, role| Person::without_token(name.to_owned(), role);
        assert!(person("ann", PersonRole::Submitter).may_change("ann"));
        assert!(!person("ann", PersonRole::Submitter).may_change("login:ann"));
        assert!(!person("ann", PersonRole::Reader).may_change("ann"), "a reader who was a submitter once");
        assert!(person("root", PersonRole::Admin).may_change("ann"));
    }
}
