//! Whether what attempts left was whole when it was read back.

use std::collections::BTreeSet;

use crate::event::AttemptId;

#[derive(Default)]
pub(crate) struct Files {
    damaged: BTreeSet<AttemptId>,
    /// Read while they were whole.
    read_whole: BTreeSet<AttemptId>,
}

impl Files {
    pub(crate) fn damaged(&mut self, attempt: AttemptId) {
        self.damaged.insert(attempt);
    }

    pub(crate) fn read(&mut self, attempt: AttemptId) {
        if !self.is_damaged(attempt) {
            self.read_whole.insert(attempt);
        }
    }

    pub(super) fn is_damaged(&self, attempt: AttemptId) -> bool {
        self.damaged.contains(&attempt)
    }

    /// It is damaged, and nobody has read it before it was.
    pub(super) fn is_damaged_unread(&self, attempt: AttemptId) -> bool {
        self.is_damaged(attempt) && !self.read_whole.contains(&attempt)
    }
}
