//! Roles: what a person may do, and what a token is for.

/// What a person may do. Each may do what the one before may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PersonRole {
    /// Reads and fetches everything.
    Reader,
    /// Submits, and changes what is its own.
    Submitter,
    /// Everything: people, tokens, and what others have submitted.
    Admin,
}

impl PersonRole {
    pub const ALL: [Self; 3] = [Self::Reader, Self::Submitter, Self::Admin];

    pub const fn word(self) -> &'static str {
        match self {
            Self::Reader => "reader",
            Self::Submitter => "submitter",
            Self::Admin => "admin",
        }
    }
}

/// What a token is for. Its first letter stands in the token, so that a person sees which one lies there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TokenRole {
    /// A person's; allows this role at most, and never more than the person has.
    Person(PersonRole),
    /// A worker's: its own assignment and nothing else.
    Worker,
    /// Reads metrics and nothing else.
    Scrape,
}

impl TokenRole {
    pub const ALL: [Self; 5] = [
        Self::Person(PersonRole::Reader),
        Self::Person(PersonRole::Submitter),
        Self::Person(PersonRole::Admin),
        Self::Worker,
        Self::Scrape,
    ];

    pub const fn word(self) -> &'static str {
        match self {
            Self::Person(role) => role.word(),
            Self::Worker => "worker",
            Self::Scrape => "scrape",
        }
    }

    pub const fn letter(self) -> char {
        match self {
            Self::Person(PersonRole::Reader) => 'r',
            Self::Person(PersonRole::Submitter) => 's',
            Self::Person(PersonRole::Admin) => 'a',
            Self::Worker => 'w',
            Self::Scrape => 'm',
        }
    }
}

macro_rules! parsed_by_word {
    ($role:ty) => {
        impl std::str::FromStr for $role {
            type Err = String;

            fn from_str(word: &str) -> Result<Self, String> {
                Self::ALL.into_iter().find(|role| role.word() == word).ok_or_else(|| {
                    let words = Self::ALL.map(Self::word).join(", ");
                    format!("there is no role of that name; expected one of {words}")
                })
            }
        }

        impl std::fmt::Display for $role {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.word())
            }
        }
    };
}
parsed_by_word!(PersonRole);
parsed_by_word!(TokenRole);
