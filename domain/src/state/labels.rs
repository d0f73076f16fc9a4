//! The labels of states, and the errors that name a state by its label.

/// An event that a state does not allow: the caller's knowledge is stale.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{subject} is {state}: it cannot be {event} any more or yet")]
pub struct InvalidTransition {
    pub subject: &'static str,
    pub state: &'static str,
    pub event: &'static str,
}

/// A label that no state has: the database or the peer is of another version.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown {what} `{label}`: expected one of {expected}")]
pub struct UnknownLabel {
    pub what: &'static str,
    pub label: String,
    pub expected: String,
}

/// Implements `Display`, `FromStr`, `ALL` and `label` for a state enum from one list of labels.
macro_rules! labels {
    ($name:ident, $what:literal, { $($variant:ident = $label:literal),+ $(,)? }) => {
        impl $name {
            /// All states, in the order in which they follow each other.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The word in Postgres, in JSON and on the screen.
            pub const fn label(self) -> &'static str {
                match self { $(Self::$variant => $label),+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.label())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::state::labels::UnknownLabel;
            fn from_str(label: &str) -> Result<Self, Self::Err> {
                match label {
                    $($label => Ok(Self::$variant),)+
                    _ => Err($crate::state::labels::UnknownLabel {
                        what: $what,
                        label: label.to_owned(),
                        expected: [$($label),+].join(", "),
                    }),
                }
            }
        }
    };
}
pub(super) use labels;
