//! A new connection to the port that speaks TLS: the handshake, or words for a client that speaks something else.

use std::time::Duration;

use tokio::{
    net::TcpStream,
    time::{Instant, timeout_at},
};
use tokio_rustls::TlsAcceptor;

use super::{
    burst::Burst,
    connection::{Connection, Io},
    head::{Speaks, speaks},
    peer::Peer,
    places::Place,
    turn_away,
};

/// What a connection is greeted with.
pub(super) struct Greeting {
    pub(super) acceptor: TlsAcceptor,
    pub(super) peer: Peer,
    pub(super) place: Place,
    /// For the handshake, and for the first request after it.
    pub(super) patience: Duration,
}

impl Greeting {
    /// `None` where there is nobody to serve.
    pub(super) async fn greet(self, mut stream: TcpStream) -> Option<Connection> {
        let deadline = Instant::now() + self.patience;
        let mut first = [0];
        // One that says nothing, or closes at once: whoever looks whether the port is open.
        let begun = timeout_at(deadline, stream.peek(&mut first)).await.ok()?.ok()?;
        if begun == 0 {
            return None;
        }
        if speaks(&first) != Some(Speaks::Tls) {
            let (first, speaks) = timeout_at(deadline, turn_away::listen_on(&mut stream)).await.ok()?.ok()?;
            turn_away::plain_from_tls_port(stream, self.peer, first, speaks).await;
            return None;
        }
        // As many at a time as there are places: one that stalls holds up no other.
        let failure = match timeout_at(deadline, self.acceptor.accept(stream)).await {
            Ok(Ok(stream)) => {
                let begin = Instant::now() + self.patience;
                return Some(Connection::new(Io::Tls(Box::new(stream)), self.peer, self.place, begin));
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("it did not end within {:?}", self.patience),
        };
        static BURST: Burst = Burst::new();
        if let Some(untold) = BURST.note() {
            tracing::info!(peer = %self.peer, untold, failure, "a TLS handshake failed; a client that has not joined ends it like that");
        }
        None
    }
}
