//! A question as it is asked.

use tandem_domain::state::JobState;

/// What is asked; empty is left open.
#[derive(Clone, Debug, Default)]
pub(crate) struct Question {
    /// The condition.
    pub(crate) condition: String,
    /// Only jobs in these states; empty: in any.
    pub(crate) states: Vec<JobState>,
    /// A job or experiment.
    pub(crate) target: String,
    pub(crate) owner: String,
    /// A time as people write it.
    pub(crate) since: String,
    /// The name to sort by; the newest first if it is empty.
    pub(crate) order: String,
    /// Smallest first or largest first; else the best.
    pub(crate) ascending: Option<bool>,
    pub(crate) by: Vec<String>,
    pub(crate) columns: Vec<String>,
    pub(crate) limit: u32,
    pub(crate) cursor: String,
}
