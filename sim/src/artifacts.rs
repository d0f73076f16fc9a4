//! What attempts leave in the store: sometimes shown late, and sometimes damaged.

use std::collections::{BTreeMap, BTreeSet};

use crate::{event::AttemptId, plan::Ms};

#[derive(Default)]
pub(crate) struct Artifacts {
    files: BTreeMap<AttemptId, File>,
    /// Workers that damage the next artifact that they write.
    pub(crate) spoilers: BTreeSet<usize>,
}

struct File {
    is_damaged: bool,
    /// The network file system shows it from then on.
    shown_at: Ms,
}

impl Artifacts {
    pub(crate) fn write(&mut self, attempt: AttemptId, shown_at: Ms) {
        self.files.insert(attempt, File { is_damaged: false, shown_at });
    }

    pub(crate) fn damage(&mut self, attempt: AttemptId) {
        if let Some(file) = self.files.get_mut(&attempt) {
            file.is_damaged = true;
        }
    }

    /// Whether who reads it now finds what was reported.
    pub(crate) fn is_shown_whole(&self, attempt: AttemptId, now: Ms) -> bool {
        self.files.get(&attempt).is_some_and(|file| file.shown_at <= now && !file.is_damaged)
    }
}
