//! One try to get a stream: connected, registered, and from which address.

use std::{
    net::{IpAddr, SocketAddr, UdpSocket},
    time::{Duration, Instant},
};

use tandem_connect::{Address, address::HostPort, words};
use tandem_proto::v1::{
    CoordinatorMessage, Register, Registered, WorkerMessage, coordinator_message, worker_message,
    workers_client::WorkersClient,
};
use tokio::{sync::mpsc, time::timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Request, Status, Streaming};

use crate::access::Way;

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

/// Why there is no stream.
pub(super) struct Failed {
    pub(super) reason: String,
    /// Only a person can mend it: the coordinator does not know this worker, or a file cannot be used.
    pub(super) denied: bool,
}

impl Failed {
    pub(super) fn of(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), denied: false }
    }

    /// What the coordinator there answered, or why it could not.
    pub(super) fn by(address: &Address, status: &Status) -> Self {
        let reason = match std::error::Error::source(status) {
            Some(source) => cause(address, source),
            None => format!("{}: {}", status.code().description(), status.message()),
        };
        match status.code() {
            Code::Unauthenticated | Code::PermissionDenied => Self {
                reason: format!(
                    "{reason} (a new token goes into the same file; this worker reads it again for each try)"
                ),
                denied: true,
            },
            // Of another house.
            Code::FailedPrecondition => Self { reason, denied: true },
            _ => Self { reason, denied: false },
        }
    }
}

/// Yields a stream, or the reason why there is none.
pub(super) async fn dial(way: Way, register: Register) -> Result<Connected, Failed> {
    let Way { address, dialer, token } = way;
    let answered = |status: Status| Failed::by(&address, &status);
    let register_worker = async {
        let channel = dialer.connect().await.map_err(|error| Failed::of(cause(&address, &error)))?;
        let from = match address.host_port() {
            Some(at) => address_towards(at).await.map_err(Failed::of)?,
            None => return Err(Failed::of(format!("{address} has no host that ranks could meet on"))),
        };
        let (outbound, messages) = mpsc::channel(OUTBOUND_MESSAGES);
        let first = WorkerMessage { message: Some(worker_message::Message::Register(register)) };
        outbound.try_send(first).map_err(|error| Failed::of(error.to_string()))?;
        let mut request = Request::new(ReceiverStream::new(messages));
        if let Some(token) = token {
            request.metadata_mut().insert("authorization", token);
        }
        let at = Instant::now();
        let response = WorkersClient::new(channel).session(request).await.map_err(answered)?;
        let mut inbound = response.into_inner();
        match inbound.message().await.map_err(answered)?.and_then(|answer| answer.message) {
            Some(coordinator_message::Message::Registered(registered)) => {
                let stream = Stream { outbound, inbound, since: Instant::now() };
                Ok(Connected { stream, registered, at, from })
            }
            Some(_) => Err(Failed::of("the coordinator did not answer the registration; is it of another version?")),
            None => Err(Failed::of("the coordinator closed the stream")),
        }
    };
    match timeout(CONNECT_WITHIN, register_worker).await {
        Ok(result) => result,
        Err(_) => Err(Failed::of(format!("no answer within {CONNECT_WITHIN:?}"))),
    }
}

/// The address of this host on the way to the coordinator: other ranks of a gang reach it there, too.
async fn address_towards(coordinator: &HostPort) -> Result<IpAddr, String> {
    let HostPort { host, port } = coordinator;
    let unknown = |error: std::io::Error| {
        format!(
            "cannot tell which address of this host the other ranks can reach (no route to {host}: {error}); say it with \
             --meet-on"
        )
    };
    let mut found: Vec<SocketAddr> = tokio::net::lookup_host((host.as_str(), *port)).await.map_err(unknown)?.collect();
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

/// In words where it needs them, else the innermost cause.
fn cause(address: &Address, error: &(dyn std::error::Error + 'static)) -> String {
    words::explain(address, error).unwrap_or_else(|| root_cause(error))
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
        let at = |host: &str| HostPort { host: host.to_owned(), port: 7077 };
        for host in ["127.0.0.1", "localhost"] {
            let from = address_towards(&at(host)).await.unwrap();
            assert!(from.is_loopback(), "{host}: {from}");
        }
        let error = address_towards(&at("no-such-host.invalid")).await.unwrap_err();
        assert!(error.contains("no-such-host.invalid") && error.contains("--meet-on"), "{error}");
    }

    #[test]
    fn what_only_a_person_can_mend_is_told_from_what_time_does() {
        let address = "http://127.0.0.1:7077".parse().unwrap();
        let denied = Failed::by(&address, &Status::unauthenticated("the token abcdefgh was revoked"));
        assert!(denied.denied && denied.reason.contains("was revoked") && denied.reason.contains("same file"));
        assert!(Failed::by(&address, &Status::permission_denied("x")).denied);
        let other = Failed::by(&address, &Status::failed_precondition("another house"));
        assert!(other.denied && !other.reason.contains("same file"), "{}", other.reason);
        assert!(!Failed::by(&address, &Status::unavailable("x")).denied);
    }
}
