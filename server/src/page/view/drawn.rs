//! What a view makes, and for whom.

use tandem_domain::access::{PersonRole, identity::Person, pages::may_press};

use super::super::{block::Block, text::Text};
use crate::error::Error;

/// A page but for its frame.
pub(crate) struct Drawn {
    pub(crate) title: Text,
    pub(crate) heading: Text,
    pub(crate) blocks: Vec<Block>,
}

/// What decides which buttons a page has: all who have the same see the same page.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Rights {
    pub(crate) role: PersonRole,
    /// Of who looks, where what may be done depends on that; else empty.
    pub(crate) name: String,
    /// Of the job or the experiment that the page is about.
    pub(crate) change: bool,
}

impl Rights {
    pub(crate) fn admin(&self) -> bool {
        self.role == PersonRole::Admin
    }

    /// Whether there is a button of this name, for something of this owner.
    pub(crate) fn may(&self, action: &str, of: Option<&str>) -> bool {
        may_press(&Person::without_token(self.name.clone(), self.role), action, of)
    }
}

pub(super) fn absent(what: &str) -> Error {
    Error::NotFound(format!("there is no such {what} here"))
}
