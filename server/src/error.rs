//! What can go wrong in a request, by who has to act.

use tandem_proto::status::Code;
use tonic::Status;

/// The service's error; `Display` is for the person who asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The request is wrong as it stands.
    #[error("{0}")]
    Invalid(String),
    #[error("{0}")]
    NotFound(String),
    /// Right in itself, but not as things stand.
    #[error("{0}")]
    Refused(String),
    /// Taken by somebody else in the meantime.
    #[error("{0}")]
    Conflict(String),
    /// The coordinator stops; the client should dial again.
    #[error("the coordinator is shutting down; jobs go on, ask again in a moment")]
    ShuttingDown,
    /// The database cannot be reached or starts: the same request may succeed later.
    #[error("the database is away: {0}")]
    DatabaseAway(#[source] sqlx::Error),
    /// The database rolled the transaction back to end a conflict with another: it may be run again.
    #[error("the database was busy with conflicting changes: {0}")]
    DatabaseConflict(#[source] sqlx::Error),
    /// The database refused a query, or its answer cannot be read: trying again would not help.
    #[error("the database did not answer as it should: {0}")]
    DatabaseBug(#[source] sqlx::Error),
    #[error("cannot read {what} from the store: {source}")]
    Store { what: String, source: object_store::Error },
}

pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    pub(crate) fn code(&self) -> Code {
        match self {
            Self::Invalid(_) => Code::InvalidInput,
            Self::NotFound(_) => Code::NotFound,
            Self::Refused(_) => Code::WrongState,
            Self::Conflict(_) => Code::AlreadyExists,
            Self::ShuttingDown => Code::Unavailable,
            Self::DatabaseAway(_) | Self::DatabaseConflict(_) => Code::Unavailable,
            Self::DatabaseBug(_) => Code::Internal,
            Self::Store { .. } => Code::DataLoss,
        }
    }
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        let code = error.code();
        // Logged here, where it is handled: what the client can do nothing about.
        if matches!(code, Code::Internal | Code::DataLoss) {
            tracing::error!(%error, "request failed");
        }
        code.status(error.to_string())
    }
}
