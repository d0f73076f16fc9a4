//! What is answered by URL where something is wrong: a document with a code and words.

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};
use tonic::{Code, Status};

/// Why there is no answer.
#[derive(Debug)]
pub(crate) struct Problem {
    status: Status,
    /// Where HTTP says it closer than gRPC does.
    code: Option<StatusCode>,
    allow: Option<&'static str>,
}

impl Problem {
    pub(crate) fn invalid(words: impl Into<String>) -> Self {
        Status::invalid_argument(words).into()
    }

    pub(crate) fn nothing_at(path: &str) -> Self {
        Status::not_found(format!("there is nothing at {path} here")).into()
    }

    /// This is called by another verb of HTTP.
    pub(crate) fn verb(allow: &'static str, words: impl Into<String>) -> Self {
        Self { allow: Some(allow), ..Self::from(Status::unimplemented(words)) }
    }

    pub(crate) fn with_code(self, code: StatusCode) -> Self {
        Self { code: Some(code), ..self }
    }

    /// `{"code": "not_found", "message": ".."}`
    pub(crate) fn document(&self) -> Value {
        json!({ "code": word(self.status.code()), "message": self.status.message() })
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let code = self.code.unwrap_or_else(|| status(self.status.code()));
        let mut answer = (code, Json(self.document())).into_response();
        if code == StatusCode::UNAUTHORIZED {
            answer.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(allow) = self.allow {
            answer.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allow));
        }
        answer
    }
}

impl From<Status> for Problem {
    fn from(status: Status) -> Self {
        Self { status, code: None, allow: None }
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
        let problem = Problem::from(Status::failed_precondition("no"));
        assert_eq!(problem.document(), json!({ "code": "failed_precondition", "message": "no" }));
    }
}
