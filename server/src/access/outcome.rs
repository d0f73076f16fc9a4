//! How a request ended, in a word of a set that does not grow: for metrics and spans.

use axum::response::Response;
use tonic::Code;

/// Of an answer whose body is still to come: what of it is known then. A stream that breaks later has begun well.
pub(super) fn of(answer: &Response, is_grpc: bool) -> &'static str {
    if !is_grpc {
        return match answer.status().as_u16() {
            200..=299 => "ok",
            300..=399 => "redirect",
            400..=499 => "refused",
            _ => "failed",
        };
    }
    // A call that fails at once says so in its head.
    let status = answer.headers().get("grpc-status").map(|status| Code::from_bytes(status.as_bytes()));
    match status.unwrap_or(Code::Ok) {
        Code::Ok => "ok",
        Code::Cancelled => "cancelled",
        Code::InvalidArgument => "invalid argument",
        Code::DeadlineExceeded => "deadline exceeded",
        Code::NotFound => "not found",
        Code::AlreadyExists => "already exists",
        Code::PermissionDenied => "permission denied",
        Code::ResourceExhausted => "resource exhausted",
        Code::FailedPrecondition => "failed precondition",
        Code::Aborted => "aborted",
        Code::Unimplemented => "unimplemented",
        Code::Unavailable => "unavailable",
        Code::DataLoss => "data loss",
        Code::Unauthenticated => "unauthenticated",
        Code::Unknown | Code::OutOfRange | Code::Internal => "internal",
    }
}

#[cfg(test)]
mod tests {
    use axum::{body::Body, http::StatusCode, response::IntoResponse};
    use tandem_proto::status::Code;

    use super::*;

    #[test]
    fn a_call_ends_as_its_head_says_and_a_page_as_its_status() {
        let grpc = |code: Code| Code::status(code, "no").into_http::<Body>();
        assert_eq!(of(&grpc(Code::NotFound), true), "not found");
        assert_eq!(of(&grpc(Code::Unavailable), true), "unavailable");
        assert_eq!(of(&().into_response(), true), "ok");
        assert_eq!(of(&StatusCode::NOT_FOUND.into_response(), false), "refused");
        assert_eq!(of(&StatusCode::BAD_GATEWAY.into_response(), false), "failed");
    }
}
