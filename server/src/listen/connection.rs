//! A connection as it is served: closed if its client does not begin in time, or speaks TLS where there is none.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, Empty, ReadBuf, empty},
    net::{TcpStream, UnixStream},
    time::{Instant, Sleep, sleep_until},
};
use tokio_rustls::server::TlsStream;
use tonic::transport::server::Connected;

use super::{
    head::{Head, Speaks, speaks},
    peer::Peer,
    places::Place,
    turn_away,
};

pub(crate) struct Connection {
    io: Io,
    peer: Peer,
    /// `None` once the client has begun.
    beginning: Option<Beginning>,
    /// `None` once the client was turned away, which needs the place still.
    place: Option<Place>,
}

pub(super) enum Io {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    Socket(UnixStream),
    /// The client is being told that it speaks the wrong thing.
    TurnedAway(Empty),
}

struct Beginning {
    head: Head,
    deadline: Pin<Box<Sleep>>,
}

/// What all of [`Io`] can do.
trait Duplex: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Duplex for T {}

impl Connection {
    /// The client must have begun by `deadline`.
    pub(super) fn new(io: Io, peer: Peer, place: Place, deadline: Instant) -> Self {
        let beginning = Beginning { head: Head::default(), deadline: Box::pin(sleep_until(deadline)) };
        Self { io, peer, beginning: Some(beginning), place: Some(place) }
    }

    fn io(&mut self) -> Pin<&mut dyn Duplex> {
        match &mut self.io {
            Io::Plain(stream) => Pin::new(stream),
            Io::Tls(stream) => Pin::new(stream.as_mut()),
            Io::Socket(stream) => Pin::new(stream),
            Io::TurnedAway(stream) => Pin::new(stream),
        }
    }

    /// Looks at what was received while the client has not begun; whether the client may go on.
    fn look_at(&mut self, received: &[u8]) -> bool {
        let Some(beginning) = &mut self.beginning else { return true };
        let is_first = !beginning.head.has_begun();
        if is_first && matches!(self.io, Io::Plain(_)) && speaks(received) == Some(Speaks::Tls) {
            self.turn_away();
            return false;
        }
        if beginning.head.take(received) {
            self.beginning = None;
        }
        true
    }

    fn turn_away(&mut self) {
        if let Io::Plain(stream) = std::mem::replace(&mut self.io, Io::TurnedAway(empty())) {
            let (peer, place) = (self.peer, self.place.take());
            // Ends soon by itself, and there are no more of them than places.
            tokio::spawn(async move {
                turn_away::tls_from_plain_port(stream, peer).await;
                drop(place);
            });
        }
    }
}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = self.io().poll_read(cx, buf);
        match &mut self.beginning {
            None => polled,
            Some(beginning) if polled.is_pending() => {
                ready!(beginning.deadline.as_mut().poll(cx));
                Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client did not begin")))
            }
            Some(_) => {
                if !self.look_at(&buf.filled()[before..]) {
                    // As if it had closed.
                    buf.set_filled(before);
                }
                polled
            }
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.io().poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io().poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io().poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.io().poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        match &self.io {
            Io::Plain(stream) => stream.is_write_vectored(),
            Io::Tls(stream) => stream.is_write_vectored(),
            Io::Socket(stream) => stream.is_write_vectored(),
            Io::TurnedAway(_) => false,
        }
    }
}
