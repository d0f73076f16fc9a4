//! Which failures of a query pass by themselves, decided in one place; the retry of a transaction, and its limit.

use std::{io, time::Duration};

use tokio::time::timeout;

use crate::error::{Error, Result};

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        let code = error.as_database_error().and_then(|error| error.code()).unwrap_or_default();
        match (&error, &*code) {
            (
                sqlx::Error::Io(_)
                | sqlx::Error::Tls(_)
                | sqlx::Error::PoolTimedOut
                | sqlx::Error::PoolClosed
                | sqlx::Error::WorkerCrashed,
                _,
            ) => Self::DatabaseAway(error),
            // Serialisation failure, deadlock, a lock that was not to be had in time.
            (_, "40001" | "40P01" | "55P03") => Self::DatabaseConflict(error),
            // Cancelled: `statement_timeout` has run out.
            (_, "57014") => Self::DatabaseSlow(error),
            // A transaction that was idle for too long, because this process was frozen.
            (_, "25P03") => Self::DatabaseAway(error),
            // Class 08: connection; 53: resources; 57P: operator intervention (shutdown, crash, starting up).
            (_, code) if ["08", "53", "57P"].iter().any(|class| code.starts_with(class)) => Self::DatabaseAway(error),
            _ => Self::DatabaseBug(error),
        }
    }
}

/// Runs a transaction, and runs it again if Postgres rolled it back to end a conflict with another.
pub(crate) async fn retry<T, F>(mut transaction: impl FnMut() -> F) -> Result<T>
where
    F: Future<Output = Result<T>>,
{
    const TRIES: u32 = 5;
    let mut tries = 1;
    loop {
        match transaction().await {
            Err(Error::DatabaseConflict(error)) if tries < TRIES => {
                tracing::debug!(%error, tries, "transaction runs again");
                tries += 1;
            }
            outcome => return outcome,
        }
    }
}

/// Gives up after `limit`; what Postgres still does is cancelled then. The work may have been done nevertheless.
pub(crate) async fn within<T>(limit: Duration, work: impl Future<Output = Result<T>>) -> Result<T> {
    timeout(limit, work).await.unwrap_or_else(|_| {
        let words = format!("no answer within {limit:?}");
        Err(Error::DatabaseSlow(io::Error::new(io::ErrorKind::TimedOut, words).into()))
    })
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use sqlx::error::{DatabaseError, ErrorKind};
    use tandem_proto::status::Code;

    use super::*;

    /// What Postgres answers with.
    #[derive(Debug, thiserror::Error)]
    #[error("SQLSTATE {0}")]
    struct SqlState(&'static str);

    impl DatabaseError for SqlState {
        fn message(&self) -> &str {
            self.0
        }

        fn code(&self) -> Option<Cow<'_, str>> {
            Some(self.0.into())
        }

        fn as_error(&self) -> &(dyn std::error::Error + Send + Sync + 'static) {
            self
        }

        fn as_error_mut(&mut self) -> &mut (dyn std::error::Error + Send + Sync + 'static) {
            self
        }

        fn into_error(self: Box<Self>) -> Box<dyn std::error::Error + Send + Sync + 'static> {
            self
        }

        fn kind(&self) -> ErrorKind {
            ErrorKind::Other
        }
    }

    fn error(code: &'static str) -> Error {
        sqlx::Error::Database(Box::new(SqlState(code))).into()
    }

    #[test]
    fn an_absent_database_a_conflict_and_a_bug_are_told_apart() {
        let away = [
            sqlx::Error::Io(io::ErrorKind::ConnectionRefused.into()).into(),
            sqlx::Error::PoolTimedOut.into(),
            error("08006"),
            error("53300"),
            error("57P03"),
        ];
        for error in away {
            assert!(matches!(error, Error::DatabaseAway(_)) && error.code() == Code::Unavailable, "{error}");
        }
        for error in ["40001", "40P01", "55P03"].map(error) {
            assert!(matches!(error, Error::DatabaseConflict(_)) && error.code() == Code::Unavailable, "{error}");
        }
        let slow = error("57014");
        assert!(matches!(slow, Error::DatabaseSlow(_)) && slow.code() == Code::TimedOut, "{slow}");
        // A unique index, a wrong column, a row that cannot be read.
        for error in [error("23505"), error("42703"), sqlx::Error::RowNotFound.into()] {
            assert!(matches!(error, Error::DatabaseBug(_)) && error.code() == Code::Internal, "{error}");
        }
    }

    #[tokio::test]
    async fn work_that_takes_too_long_is_given_up() {
        let limit = Duration::from_millis(20);
        let late = within(limit, std::future::pending::<Result<()>>()).await.unwrap_err();
        assert!(late.to_string().contains("no answer within 20ms") && late.is_absence(), "{late}");
        assert!(within(limit, async { Ok(7) }).await.is_ok_and(|value| value == 7));
    }

    #[tokio::test]
    async fn only_a_conflict_is_retried_and_not_for_ever() {
        for (code, expected) in [("40P01", 5), ("57P01", 1), ("23505", 1)] {
            let mut runs = 0;
            let outcome: Result<()> = retry(|| {
                runs += 1;
                async { Err(error(code)) }
            })
            .await;
            assert!(outcome.is_err());
            assert_eq!(runs, expected, "{code}");
        }
    }
}
