//! Serves what comes in, within bounds for each connection.

use axum::Router;
use tandem_domain::timing::{self, timing};
use tokio_util::sync::CancellationToken;
use tonic::{
    service::Routes,
    transport::{self, Server},
};

use super::incoming::Incoming;

/// Calls at a time on one connection. A command has a few; a worker has its stream and what it fetches.
const STREAMS_MAX: u32 = 256;
/// Calls that a client took back before they were begun: with more of them it is cut off (CVE-2023-44487).
const RESET_STREAMS_MAX: usize = 32;
/// The head of one call.
const HEADERS_BYTES_MAX: u32 = 16 * 1024;

/// Serves requests until `closing`, and those under way for a while longer.
pub(crate) async fn serve(
    router: Router,
    incoming: Incoming,
    closing: &CancellationToken,
) -> Result<(), transport::Error> {
    let served = Server::builder()
        .http2_keepalive_interval(Some(timing().lease))
        .http2_keepalive_timeout(Some(timing().lease))
        .http2_max_header_list_size(HEADERS_BYTES_MAX)
        .http2_max_pending_accept_reset_streams(Some(RESET_STREAMS_MAX))
        .max_concurrent_streams(STREAMS_MAX)
        // For browsers. tonic lets hyper cut a request whose head takes 30 s, and a connection that waits as long for one.
        .accept_http1(true)
        .add_routes(Routes::from(router))
        .serve_with_incoming_shutdown(incoming, closing.clone().cancelled_owned());
    tokio::select! {
        served = served => served,
        // A client that keeps its connection open must not keep the server running.
        () = async { closing.cancelled().await; tokio::time::sleep(timing::SHUTDOWN_GRACE).await } => Ok(()),
    }
}
