//! What coordinators and workers have in common as processes: they start, freeze, and are killed.

use crate::event::Event;

#[derive(Default)]
pub(crate) struct Lifetime {
    pub(crate) is_up: bool,
    pub(crate) is_frozen: bool,
    /// Grows with each start: an event for an earlier epoch never arrives.
    pub(crate) epoch: u32,
    /// Events that came while it was frozen.
    pub(crate) deferred: Vec<Event>,
}
