//! One line of what `tandem doctor` says.

use serde::Serialize;

/// How it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Grade {
    Ok,
    /// It goes, but not as it could, or not for long.
    Warn,
    /// Something does not go.
    Bad,
}

/// One line of what `tandem doctor` says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Check {
    /// What was looked at.
    pub(crate) what: String,
    pub(crate) grade: Grade,
    pub(crate) found: String,
    /// What to do next; empty where there is nothing to do.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) advice: String,
}

impl Check {
    pub(super) fn ok(what: impl Into<String>, found: impl Into<String>) -> Self {
        Self { what: what.into(), grade: Grade::Ok, found: found.into(), advice: String::new() }
    }

    pub(super) fn warn(what: impl Into<String>, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { what: what.into(), grade: Grade::Warn, found: found.into(), advice: advice.into() }
    }

    pub(super) fn bad(what: impl Into<String>, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { what: what.into(), grade: Grade::Bad, found: found.into(), advice: advice.into() }
    }
}
