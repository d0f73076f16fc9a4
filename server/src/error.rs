//! Why a request fails, by who has to act.

use tandem_proto::status::Code;
use tonic::Status;

/// Why a request failed; `Display` is for the person who sent it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The request itself is wrong.
    #[error("{0}")]
    Invalid(String),
    #[error("{0}")]
    NotFound(String),
    /// Who asks may not.
    #[error("{0}")]
    Forbidden(String),
    /// The request is valid, but not in the present state.
    #[error("{0}")]
    Refused(String),
    /// Somebody else was first.
    #[error("{0}")]
    Conflict(String),
    /// The coordinator stops; the client should dial again.
    #[error("the coordinator is shutting down; jobs go on, ask again in a moment")]
    ShuttingDown,
    /// The database cannot be reached or starts: the same request may succeed later.
    #[error("the database is away: {0}")]
    DatabaseAway(#[source] sqlx::Error),
    /// The database did not answer in time, or cancelled a query that took too long. What was asked may have been done.
    #[error("the database took too long: {0}")]
    DatabaseSlow(#[source] sqlx::Error),
    /// The database answers, but what a pass of the scheduler reads takes it too long.
    #[error("a pass of the scheduler takes the database too long: {0}")]
    PassSlow(#[source] sqlx::Error),
    /// The database rolled the transaction back to end a conflict with another: it may be run again.
    #[error("the database was busy with conflicting changes: {0}")]
    DatabaseConflict(#[source] sqlx::Error),
    /// The database refused a query, or its answer cannot be read: trying again would not help.
    #[error("the database did not answer as it should: {0}")]
    DatabaseBug(#[source] sqlx::Error),
    /// As many calls are under way as the coordinator takes on.
    #[error("{0}")]
    Full(String),
    /// A file in the store is not what was stored, and asking again will not change that.
    #[error("{0}")]
    Damaged(String),
    /// A file in the store cannot be read just now.
    #[error("{0}")]
    StoreAway(String),
    /// A fault of the coordinator.
    #[error("{0}")]
    Bug(String),
}

pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    pub(crate) fn code(&self) -> Code {
        match self {
            Self::Invalid(_) => Code::InvalidInput,
            Self::NotFound(_) => Code::NotFound,
            Self::Forbidden(_) => Code::Forbidden,
            Self::Refused(_) => Code::WrongState,
            Self::Conflict(_) => Code::AlreadyExists,
            Self::ShuttingDown => Code::Unavailable,
            Self::DatabaseAway(_) | Self::DatabaseConflict(_) => Code::Unavailable,
            Self::DatabaseSlow(_) | Self::PassSlow(_) => Code::TimedOut,
            Self::Full(_) => Code::Full,
            Self::DatabaseBug(_) | Self::Bug(_) => Code::Internal,
            Self::Damaged(_) => Code::DataLoss,
            Self::StoreAway(_) => Code::Unavailable,
        }
    }

    /// Nobody answers: a database that stalls is away, as one that is dead.
    pub(crate) fn is_absence(&self) -> bool {
        matches!(self, Self::DatabaseAway(_) | Self::DatabaseSlow(_))
    }
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        let code = error.code();
        // Logged here, because the client can do nothing about it.
        if matches!(code, Code::Internal | Code::DataLoss) {
            tracing::error!(%error, "request failed");
        }
        code.status(error.to_string())
    }
}
