//! What one look found.

use tandem_domain::device::{Process, Reading};

#[derive(Clone, Debug, Default)]
pub(super) struct Look {
    pub(super) reading: Reading,
    pub(super) processes: Vec<Process>,
    /// Whether the driver has said which processes there are.
    pub(super) lists_processes: bool,
    /// What the driver said and cannot be, in words.
    pub(super) doubt: String,
    /// What the card has used since its driver was loaded, in millijoules, if it counts that.
    pub(super) energy: Option<u64>,
    /// Errors of memory that could not be corrected, so far.
    pub(super) memory_errors: Option<u64>,
    /// The driver says that the card is not there any more.
    pub(super) is_lost: bool,
    /// Why nothing at all could be read.
    pub(super) problem: Option<String>,
}
