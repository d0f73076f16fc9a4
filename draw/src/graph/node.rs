//! What a graph is made of.

/// As of a job.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    #[default]
    Blocked,
    Queued,
    Running,
    Succeeded,
    Failed,
    Cancelled,
}

impl State {
    pub(crate) const ALL: [Self; 6] =
        [Self::Running, Self::Failed, Self::Queued, Self::Blocked, Self::Cancelled, Self::Succeeded];

    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Blocked => "blocked",
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// A box.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Node {
    pub label: String,
    /// What it is one of: of many nodes, those of a group are drawn as one. `encoder` of `encoder[lr=0.1]`.
    pub group: String,
    pub state: State,
    /// From 0 to 1, of what runs.
    pub done: Option<f64>,
    /// Beside the state: how long still, the loss.
    pub note: String,
    /// Where a click leads.
    pub link: Option<String>,
}
