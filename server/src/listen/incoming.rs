//! The connections of the port and the socket, as one stream: bounded in number, and each one ready to be served.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tandem_domain::timing;
use tokio::{
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
    task::JoinSet,
    time::{Instant, Sleep, sleep},
};
use tokio_rustls::TlsAcceptor;
use tokio_stream::Stream;

use super::{
    burst::Burst,
    connection::{Connection, Io},
    greet,
    peer::Peer,
    places::{Client, Limits, Place, Places},
};

/// An error of `accept` (no files left, mostly) does not pass at once.
const PAUSE: Duration = Duration::from_millis(200);

pub(crate) struct Incoming {
    port: Accepting<TcpListener>,
    tls: Option<TlsAcceptor>,
    socket: Option<Accepting<UnixListener>>,
    places: Places,
    /// No more of them than places.
    greeted: JoinSet<Option<Connection>>,
    /// How long a client may take to begin, and how long its TLS may take before.
    patience: Duration,
}

impl Incoming {
    /// `files`: how many may be open.
    pub(crate) fn new(
        port: TcpListener,
        tls: Option<TlsAcceptor>,
        socket: Option<UnixListener>,
        files: Option<u64>,
    ) -> Self {
        Self::with(port, tls, socket, Limits::with_files(files), timing::HANDSHAKE)
    }

    pub(super) fn with(
        port: TcpListener,
        tls: Option<TlsAcceptor>,
        socket: Option<UnixListener>,
        limits: Limits,
        patience: Duration,
    ) -> Self {
        Self {
            port: Accepting::new(port, "the port"),
            tls,
            socket: socket.map(|socket| Accepting::new(socket, "the socket")),
            places: Places::new(limits),
            greeted: JoinSet::new(),
            patience,
        }
    }

    /// From the port: served as it is, or greeted first.
    fn take_from_port(&mut self, stream: TcpStream, address: SocketAddr) -> Option<Connection> {
        let peer = Peer::Tcp { address };
        let own = stream.local_addr().ok().map(|own| own.ip());
        let place = self.place(Client::of(address.ip(), own), peer)?;
        // Fails where the client has gone already.
        stream.set_nodelay(true).ok()?;
        let Some(acceptor) = &self.tls else {
            return Some(Connection::new(Io::Plain(stream), peer, place, Instant::now() + self.patience));
        };
        let greeting = greet::Greeting { acceptor: acceptor.clone(), peer, place, patience: self.patience };
        self.greeted.spawn(greeting.greet(stream));
        None
    }

    fn take_from_socket(&self, stream: UnixStream) -> Option<Connection> {
        // Fails where the client has gone already.
        let account = stream.peer_cred().ok()?;
        let peer = Peer::Socket { uid: account.uid(), pid: account.pid() };
        let place = self.place(Client::Account(account.uid()), peer)?;
        Some(Connection::new(Io::Socket(stream), peer, place, Instant::now() + self.patience))
    }

    fn place(&self, client: Client, peer: Peer) -> Option<Place> {
        static BURST: Burst = Burst::new();
        self.places
            .take(client)
            .inspect_err(|full| {
                if let Some(untold) = BURST.note() {
                    tracing::warn!(%peer, untold, "closed a connection at once: {full}");
                }
            })
            .ok()
    }
}

impl Stream for Incoming {
    type Item = io::Result<Connection>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            // Who has waited goes before who comes.
            while let Poll::Ready(Some(greeted)) = self.greeted.poll_join_next(cx) {
                if let Ok(Some(connection)) = greeted {
                    return Poll::Ready(Some(Ok(connection)));
                }
            }
            if let Some(socket) = &mut self.socket
                && let Poll::Ready((stream, _)) = socket.poll(cx)
            {
                if let Some(connection) = self.take_from_socket(stream) {
                    return Poll::Ready(Some(Ok(connection)));
                }
                continue;
            }
            let (stream, address) = ready!(self.port.poll(cx));
            if let Some(connection) = self.take_from_port(stream, address) {
                return Poll::Ready(Some(Ok(connection)));
            }
        }
    }
}

/// Something that connections come from.
trait Accept {
    type Accepted;

    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<Self::Accepted>>;
}

impl Accept for TcpListener {
    type Accepted = (TcpStream, SocketAddr);

    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<Self::Accepted>> {
        self.poll_accept(cx)
    }
}

impl Accept for UnixListener {
    type Accepted = (UnixStream, tokio::net::unix::SocketAddr);

    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<Self::Accepted>> {
        self.poll_accept(cx)
    }
}

/// Accepts again after a while when it could not.
struct Accepting<L> {
    listener: L,
    name: &'static str,
    /// Since `accept` failed.
    pause: Option<Pin<Box<Sleep>>>,
    is_failing: bool,
}

impl<L: Accept> Accepting<L> {
    fn new(listener: L, name: &'static str) -> Self {
        Self { listener, name, pause: None, is_failing: false }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<L::Accepted> {
        loop {
            if let Some(pause) = &mut self.pause {
                ready!(pause.as_mut().poll(cx));
                self.pause = None;
            }
            match ready!(self.listener.poll_accept(cx)) {
                Ok(accepted) => {
                    if std::mem::take(&mut self.is_failing) {
                        tracing::info!("connections to {} are accepted again", self.name);
                    }
                    return Poll::Ready(accepted);
                }
                // That client has gone already.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) => {
                    if !std::mem::replace(&mut self.is_failing, true) {
                        tracing::error!(%error, "cannot accept connections to {}; trying again until it works", self.name);
                    }
                    self.pause = Some(Box::pin(sleep(PAUSE)));
                }
            }
        }
    }
}
