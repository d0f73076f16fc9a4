//! What can go wrong in a request, by who has to act. `rpc` turns it into a gRPC status, in one place.

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
    #[error("{0}")]
    Closing(String),
    #[error("the database did not answer as it should: {0}")]
    Database(#[from] sqlx::Error),
    #[error("cannot read {what} from the store: {source}")]
    Store { what: String, source: object_store::Error },
}

pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// It may be gone when the caller tries again: the database is away, starting or closing.
    pub(crate) fn is_temporary(&self) -> bool {
        match self {
            Self::Closing(_) => true,
            Self::Database(error) => is_away(error),
            _ => false,
        }
    }
}

/// No answer, as opposed to a wrong one.
pub(crate) fn is_away(error: &sqlx::Error) -> bool {
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
