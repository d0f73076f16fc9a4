//! What went wrong, as a page tells it.

use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};
use tandem_domain::access::{Denial, Identity, identity::Person};
use tonic::Status;

use crate::{error::Error, problem};

/// Why there is no page, in words. A browser is shown a page of it.
#[derive(Debug)]
pub(super) struct Problem {
    code: StatusCode,
    words: String,
}

pub(super) type Answer = Result<Response, Problem>;

impl Problem {
    pub(super) fn new(code: StatusCode, words: impl Into<String>) -> Self {
        Self { code, words: words.into() }
    }

    pub(super) fn words(&self) -> &str {
        &self.words
    }

    pub(super) fn code(&self) -> StatusCode {
        self.code
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        (self.code, format!("{}\n", self.words)).into_response()
    }
}

impl From<Status> for Problem {
    fn from(status: Status) -> Self {
        Self::new(problem::status(status.code()), status.message())
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Status::from(error).into()
    }
}

impl From<Denial> for Problem {
    fn from(denial: Denial) -> Self {
        let code = match &denial {
            Denial::TooMany(_) => StatusCode::TOO_MANY_REQUESTS,
            denial if denial.is_unknown() => StatusCode::UNAUTHORIZED,
            _ => StatusCode::FORBIDDEN,
        };
        Self::new(code, denial.to_string())
    }
}

/// The person who looks: the guard lets nobody else come this far.
pub(super) fn person(identity: Option<&Identity>) -> Result<&Person, Problem> {
    match identity {
        Some(Identity::Person(person)) => Ok(person),
        _ => Err(Problem::new(StatusCode::FORBIDDEN, "this is for people")),
    }
}
