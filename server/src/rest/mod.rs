//! Methods by URL, as JSON, and tables as files: for programs that speak no gRPC. [`domain::access::urls`](tandem_domain::access::urls)
//! says which there are.
//!
//! [`json`] puts a request together and has [`call`] make the call that a client of gRPC would make, to the same services;
//! [`files`] asks for tables part by part. [`document`] describes it all, and [`problem`](crate::problem) is what is answered where
//! something is wrong.

mod call;
mod document;
mod files;
mod json;

use axum::{Router, routing::get};
use tandem_domain::access::urls::DOCUMENT;
use tandem_tables::Format;
use tower_http::compression::{
    CompressionLayer,
    predicate::{DefaultPredicate, NotForContentType, Predicate as _},
};

use crate::rpc::Api;

/// Without a guard, as it stands before all routes of the port. `services` are those of gRPC.
pub(crate) fn router(services: Router, api: Api) -> Router {
    let mut tables = Router::new().route("/jobs/{id}/{file}", get(files::curves));
    for format in Format::ALL {
        let ending = format.ending();
        tables = tables.route(&format!("/results.{ending}"), get(files::results));
    }
    let calls = Router::new()
        .route(DOCUMENT, get(document::document))
        .route("/api/v1/{service}/{method}", get(json::read).post(json::write).fallback(json::other))
        .with_state(json::Services { services, streams: api.streams.clone(), closing: api.closing.clone() });
    let compress = CompressionLayer::new().gzip(true);
    let compress = compress.compress_when(DefaultPredicate::new().and(NotForContentType::const_new(json::LINES)));
    tables.with_state(api).merge(calls).layer(compress)
}
