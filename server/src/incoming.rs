//! Connections of clients: accepted even when files run out for a while, and closed when they say nothing.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use crate::listen::peer::Peer;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    time::{Sleep, sleep},
};
use tokio_stream::Stream;
use tonic::transport::server::Connected;

/// An error of `accept` (no files left, mostly) does not pass at once.
const PAUSE: Duration = Duration::from_millis(200);
/// With so many bytes an HTTP/2 client has begun; from there on pings find out whether it is there.
const PREFACE_BYTES: usize = 24;

pub(crate) struct Incoming {
    listener: TcpListener,
    /// How long a client may say nothing.
    handshake: Duration,
    /// Since `accept` failed.
    pause: Option<Pin<Box<Sleep>>>,
    is_failing: bool,
}

impl Incoming {
    pub(crate) fn new(listener: TcpListener, handshake: Duration) -> Self {
        Self { listener, handshake, pause: None, is_failing: false }
    }
}

impl Stream for Incoming {
    type Item = io::Result<Connection>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(pause) = &mut self.pause {
                ready!(pause.as_mut().poll(cx));
                self.pause = None;
            }
            match ready!(self.listener.poll_accept(cx)) {
                Ok((stream, _)) => {
                    if std::mem::take(&mut self.is_failing) {
                        tracing::info!("connections are accepted again");
                    }
                    return Poll::Ready(Some(
                        stream.set_nodelay(true).map(|()| Connection::new(stream, self.handshake)),
                    ));
                }
                // That client has gone already.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) => {
                    if !std::mem::replace(&mut self.is_failing, true) {
                        tracing::error!(%error, "cannot accept connections; trying again until it works");
                    }
                    self.pause = Some(Box::pin(sleep(PAUSE)));
                }
            }
        }
    }
}

/// A connection that is closed if its client does not begin in time.
pub(crate) struct Connection {
    stream: TcpStream,
    received: usize,
    /// `None` once the client has begun.
    deadline: Option<Pin<Box<Sleep>>>,
}

impl Connection {
    fn new(stream: TcpStream, handshake: Duration) -> Self {
        Self { stream, received: 0, deadline: Some(Box::pin(sleep(handshake))) }
    }
}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        Peer::Tcp { address: self.stream.peer_addr().unwrap() }
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        self.received = self.received.saturating_add(buf.filled().len() - before);
        if self.received >= PREFACE_BYTES {
            self.deadline = None;
        }
        match &mut self.deadline {
            Some(deadline) if polled.is_pending() => {
                ready!(deadline.as_mut().poll(cx));
                Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client said nothing")))
            }
            _ => polled,
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        time::timeout,
    };
    use tokio_stream::StreamExt;

    use super::*;

    #[tokio::test]
    async fn a_client_that_says_nothing_is_left_and_one_that_began_is_not() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let handshake = Duration::from_millis(300);
        let mut incoming = Incoming::new(listener, handshake);
        let mut begun = TcpStream::connect(address).await.unwrap();
        begun.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
        let mut served = incoming.next().await.unwrap().unwrap();
        served.read_exact(&mut [0; PREFACE_BYTES]).await.unwrap();
        let mut silent = TcpStream::connect(address).await.unwrap();
        silent.write_all(b"PRI").await.unwrap();
        let mut left = incoming.next().await.unwrap().unwrap();

        left.read_exact(&mut [0; 3]).await.unwrap();
        let error = left.read(&mut [0; 8]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        let longer = timeout(handshake, served.read(&mut [0; 8])).await;
        assert!(longer.is_err(), "it may be silent now: {longer:?}");
    }
}
