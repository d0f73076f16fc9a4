//! The routes of the port: the services, and an answer for whatever is none of them.

use axum::{
    Router,
    extract::Request,
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use tonic::{Status, body::Body, service::Routes};

use crate::problem::Problem;

/// tonic's own answer to a path that is not there is no page: 200, with a status that only gRPC reads.
pub(crate) fn router(routes: Routes) -> Router {
    routes.into_axum_router().reset_fallback().fallback(unknown)
}

async fn unknown(request: Request) -> Response {
    let path = request.uri().path();
    let content = request.headers().get(CONTENT_TYPE).map_or(&b""[..], |content| content.as_bytes());
    if content.starts_with(b"application/grpc") {
        let words = format!("there is no method {path} here; this coordinator may be of another version");
        return Status::unimplemented(words).into_http::<Body>().map(axum::body::Body::new);
    }
    if path.starts_with("/api/") {
        return Problem::nothing_at(path).into_response();
    }
    (StatusCode::NOT_FOUND, format!("there is nothing at {path} here\n")).into_response()
}
