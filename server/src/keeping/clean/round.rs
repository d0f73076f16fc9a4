//! What the steps of all kinds have in common.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use tandem_domain::{keeping::verdict::Why, policy::HousePolicy};

use crate::store::{Store, audit::Entry};

/// What one step did, or would.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cleaned {
    /// Jobs, or experiments, that lose something.
    pub(crate) objects: u64,
    /// Checkpoints, points, or jobs that go.
    pub(crate) items: u64,
    pub(crate) bytes: u64,
    /// How many lose nothing, and why.
    pub(crate) stays: BTreeMap<Why, u64>,
}

impl Cleaned {
    pub(super) fn stays(&mut self, why: Why) {
        *self.stays.entry(why).or_default() += 1;
    }
}

/// Who cleans; `None` only asks what would go.
pub(crate) type By<'a> = Option<&'a Entry>;

/// What steps have in common.
pub(super) struct Round<'a> {
    pub(super) store: &'a Store,
    pub(super) house: HousePolicy,
    pub(super) now: DateTime<Utc>,
    pub(super) by: By<'a>,
}

impl Round<'_> {
    /// A line of the audit about what a step has done.
    pub(super) fn entry(&self, object: String) -> Vec<Entry> {
        self.by.map(|by| Entry { object, ..by.clone() }).into_iter().collect()
    }
}
