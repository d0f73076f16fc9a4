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
    #[error("the database did not answer as it should: {0}")]
    Database(#[from] sqlx::Error),
    #[error("cannot read {what} from the store: {source}")]
    Store { what: String, source: object_store::Error },
}

pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    fn code(&self) -> Code {
        match self {
            Self::Invalid(_) => Code::InvalidInput,
            Self::NotFound(_) => Code::NotFound,
            Self::Refused(_) => Code::WrongState,
            Self::Conflict(_) => Code::AlreadyExists,
            Self::ShuttingDown => Code::Unavailable,
            Self::Database(error) if is_away(error) => Code::Unavailable,
            Self::Database(_) => Code::Internal,
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

/// No answer, as opposed to a wrong one.
fn is_away(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => true,
        // Class 08: connection; 53: resources; 57P: operator intervention (shutdown, crash, starting up).
        sqlx::Error::Database(error) => {
            error.code().is_some_and(|code| code.starts_with("08") || code.starts_with("53") || code.starts_with("57P"))
        }
        _ => false,
    }
}
