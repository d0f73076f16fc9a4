//! The routes of pages, beside those of gRPC.

use axum::{
    Router,
    extract::Request,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use tower_http::compression::CompressionLayer;

use super::{actions, assets, files, follow, house::House, login, show};

/// Without a guard: that stands before all routes of the port.
pub(crate) fn router(house: House) -> Router {
    let pages = Router::new()
        .route("/", get(show::show))
        .route("/queue", get(show::show))
        .route("/experiments", get(show::show))
        .route("/experiments/{id}", get(show::show))
        .route("/jobs/{id}", get(show::show))
        .route("/results", get(show::show))
        .route("/people", get(show::show))
        .route("/login", get(login::show).post(login::login))
        .route("/logout", post(login::logout))
        .route("/actions/{name}", post(actions::act))
        .route("/assets/{name}", get(assets::asset))
        .method_not_allowed_fallback(not_so)
        // What is sent piece by piece is not compressed: it would wait for more.
        .layer(CompressionLayer::new().gzip(true));
    let streams = Router::new()
        .route("/live", get(follow::follow))
        .route("/files/{id}", get(files::file))
        .method_not_allowed_fallback(not_so);
    pages.merge(streams).with_state(house)
}

async fn not_so(request: Request) -> Response {
    let method = request.method().clone();
    let words = format!("{method} is not for {}\n", request.uri().path());
    (StatusCode::METHOD_NOT_ALLOWED, [(header::CONTENT_TYPE, "text/plain; charset=utf-8")], words).into_response()
}
