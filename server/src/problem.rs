//! What is answered by URL where something is wrong: a document with a code and words.

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};
use tonic::{Code, Status};

/// Why there is no answer.
#[derive(Debug)]
pub(crate) struct Problem(pub(crate) Status);

impl Problem {
    pub(crate) fn invalid(words: impl Into<String>) -> Self {
        Self(Status::invalid_argument(words))
    }

    /// `{"code": "not_found", "message": ".."}`
    pub(crate) fn document(&self) -> Value {
        json!({ "code": word(self.0.code()), "message": self.0.message() })
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        (status(self.0.code()), Json(self.document())).into_response()
    }
}

impl From<Status> for Problem {
    fn from(status: Status) -> Self {
        Self(status)
    }
}

/// The code of HTTP that says the same.
pub(crate) fn status(code: Code) -> StatusCode {
    match code {
        Code::Ok => StatusCode::OK,
        Code::InvalidArgument => StatusCode::BAD_REQUEST,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::PermissionDenied => StatusCode::FORBIDDEN,
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::FailedPrecondition | Code::AlreadyExists => StatusCode::CONFLICT,
        Code::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
        Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Code::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
        Code::Unimplemented => StatusCode::METHOD_NOT_ALLOWED,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// `not_found` of `NotFound`.
fn word(code: Code) -> String {
    let mut word = String::new();
    for char in format!("{code:?}").chars() {
        if char.is_uppercase() && !word.is_empty() {
            word.push('_');
        }
        word.extend(char.to_lowercase());
    }
    word
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_a_word_as_grpc_has_it() {
        let problem = Problem(Status::failed_precondition("no"));
        assert_eq!(problem.document(), json!({ "code": "failed_precondition", "message": "no" }));
    }
}
