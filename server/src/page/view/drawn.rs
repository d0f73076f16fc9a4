//! What a view makes, and for whom.

use super::super::{block::Block, text::Text};
use crate::error::Error;

/// A page but for its frame.
pub(crate) struct Drawn {
    pub(crate) title: Text,
    pub(crate) heading: Text,
    pub(crate) blocks: Vec<Block>,
}

/// What decides which buttons a page has: all who have the same see the same page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Rights {
    pub(crate) admin: bool,
    /// May submit, and take a device for itself.
    pub(crate) submit: bool,
    /// Of the job or the experiment that the page is about.
    pub(crate) change: bool,
}

pub(super) fn absent(what: &str) -> Error {
    Error::NotFound(format!("there is no such {what} here"))
}
