//! What a refusal looks like on the wire: a status of gRPC, or of HTTP for a page.

use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};
use tandem_domain::access::Denial;
use tandem_proto::status::Code;
use tonic::Status;

pub(super) fn status(denial: &Denial) -> Status {
    let code = match denial {
        Denial::TooMany(_) => Code::Full,
        denial if denial.is_unknown() => Code::Unauthenticated,
        _ => Code::Forbidden,
    };
    code.status(denial.to_string())
}

pub(super) fn refuse(is_grpc: bool, is_head: bool, denial: &Denial) -> Response {
    if is_grpc {
        return status(denial).into_http();
    }
    let code = match denial {
        Denial::TooMany(_) => StatusCode::TOO_MANY_REQUESTS,
        denial if denial.is_unknown() => StatusCode::UNAUTHORIZED,
        _ => StatusCode::FORBIDDEN,
    };
    if is_head { code.into_response() } else { (code, format!("{denial}\n")).into_response() }
}
