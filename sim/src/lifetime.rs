//! The life of a process: coordinators and workers start, freeze, and are killed.

use crate::event::Event;

/// What both kinds of process have in common.
#[derive(Default)]
pub(crate) struct Lifetime {
    pub(crate) is_up: bool,
    pub(crate) is_frozen: bool,
    /// Grows with each start: what was meant for an earlier one never arrives.
    pub(crate) epoch: u32,
    /// What came while it was frozen.
    pub(crate) deferred: Vec<Event>,
}
