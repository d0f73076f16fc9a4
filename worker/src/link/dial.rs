//! One try to get a stream: connected, registered, and from which address.

use std::{
    net::{IpAddr, SocketAddr, UdpSocket},
    time::{Duration, Instant},
};

use tandem_proto::v1::{
    CoordinatorMessage, Register, Registered, WorkerMessage, coordinator_message, worker_message,
    workers_client::WorkersClient,
};
use tokio::{sync::mpsc, time::timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{
    Code, Request, Status, Streaming,
    metadata::{Ascii, MetadataValue},
    transport::{Endpoint, Uri},
};

/// From the first packet to the answer to our registration.
pub(super) const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// Messages that wait to be sent. Reports have a smaller window of their own, so only a stuck stream fills this queue.
const OUTBOUND_MESSAGES: usize = 256;

pub(super) struct Connected {
    pub(super) stream: Stream,
    pub(super) registered: Registered,
    /// When the registration was sent.
    pub(super) at: Instant,
    /// The address of this host that the coordinator was reached from.
    pub(super) from: IpAddr,
}

pub(super) struct Stream {
    pub(super) outbound: mpsc::Sender<WorkerMessage>,
    pub(super) inbound: Streaming<CoordinatorMessage>,
    pub(super) since: Instant,
}

/// Yields a stream, or the reason why there is none.
pub(super) async fn dial(
    endpoint: Endpoint,
    token: Option<MetadataValue<Ascii>>,
    register: Register,
) -> Result<Connected, String> {
    let register_worker = async {
        let channel = endpoint.connect().await.map_err(|error| root_cause(&error))?;
        let from = address_towards(endpoint.uri()).await?;
        let (outbound, messages) = mpsc::channel(OUTBOUND_MESSAGES);
        let first = WorkerMessage { message: Some(worker_message::Message::Register(register)) };
        outbound.try_send(first).map_err(|error| error.to_string())?;
        let mut request = Request::new(ReceiverStream::new(messages));
        if let Some(token) = token {
            request.metadata_mut().insert("authorization", token);
        }
        let at = Instant::now();
        let response = WorkersClient::new(channel).session(request).await.map_err(|status| describe(&status))?;
        let mut inbound = response.into_inner();
        match inbound.message().await.map_err(|status| describe(&status))?.and_then(|answer| answer.message) {
            Some(coordinator_message::Message::Registered(registered)) => {
                let stream = Stream { outbound, inbound, since: Instant::now() };
                Ok(Connected { stream, registered, at, from })
            }
            Some(_) => Err("the coordinator did not answer the registration; is it of another version?".to_owned()),
            None => Err("the coordinator closed the stream".to_owned()),
        }
    };
    match timeout(CONNECT_WITHIN, register_worker).await {
        Ok(result) => result,
        Err(_) => Err(format!("no answer within {CONNECT_WITHIN:?}")),
    }
}

/// The address of this host on the way to the coordinator: other ranks of a gang reach it there, too.
async fn address_towards(coordinator: &Uri) -> Result<IpAddr, String> {
    let (host, port) = (coordinator.host().unwrap_or_default(), coordinator.port_u16().unwrap_or(80));
    let unknown = |error: std::io::Error| {
        format!(
            "cannot tell which address of this host the other ranks can reach (no route to {host}: {error}); say it with \
             --meet-on"
        )
    };
    let mut found: Vec<SocketAddr> =
        tokio::net::lookup_host((host.trim_matches(['[', ']']), port)).await.map_err(unknown)?.collect();
    found.sort_by_key(SocketAddr::is_ipv6);
    let mut last = std::io::Error::other("it has no address");
    for address in found {
        match route(address) {
            Ok(local) => return Ok(local),
            Err(error) => last = error,
        }
    }
    Err(unknown(last))
}

/// Connecting a UDP socket sends nothing; it only finds the local address of the route.
fn route(to: SocketAddr) -> std::io::Result<IpAddr> {
    let socket = UdpSocket::bind((if to.is_ipv6() { "::" } else { "0.0.0.0" }, 0))?;
    socket.connect(to)?;
    Ok(socket.local_addr()?.ip())
}

/// Whether the coordinator ended the stream because it does not take what was sent on it.
pub(super) fn is_refusal(status: &Status) -> bool {
    matches!(status.code(), Code::OutOfRange | Code::ResourceExhausted | Code::InvalidArgument)
}

pub(super) fn describe(status: &Status) -> String {
    match std::error::Error::source(status) {
        Some(source) => root_cause(source),
        None => format!("{}: {}", status.code().description(), status.message()),
    }
}

/// The innermost cause says what happened ("connection refused"); tonic's own text does not ("transport error").
fn root_cause(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn ranks_meet_on_the_address_that_reaches_the_coordinator() {
        for server in ["http://127.0.0.1:7077", "http://localhost:7077"] {
            let from = address_towards(&server.parse().unwrap()).await.unwrap();
            assert!(from.is_loopback(), "{server}: {from}");
        }
        let error = address_towards(&"http://no-such-host.invalid:7077".parse().unwrap()).await.unwrap_err();
        assert!(error.contains("no-such-host.invalid") && error.contains("--meet-on"), "{error}");
    }
}
