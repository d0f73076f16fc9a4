//! Tells a client in its own words that the port speaks something else, and closes.
//!
//! Whatever carries the bytes: `fuzz/` has no sockets.

use std::io::{self, Cursor};

use tandem_domain::timing;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, join, split},
    time::timeout,
};
use tonic::{
    Status,
    codegen::{
        Bytes,
        http::{Response, StatusCode, header::CONTENT_TYPE},
    },
};

use super::{
    burst::Burst,
    head::{Speaks, speaks},
    peer::Peer,
};

const SPEAKS_TLS: &str = "this port speaks TLS: use https:// in place of http://. `tandem join https://HOST:PORT FINGERPRINT` \
                          makes the coordinator known; the fingerprint is in its log, and `tandem-server fingerprint` prints it";
/// Of the record layer, fatal, "protocol version": the nearest that TLS has to "no TLS here".
const ALERT: [u8; 7] = [0x15, 3, 1, 0, 2, 2, 70];
/// What is read of a client that goes on speaking.
const READ_ON: u64 = 256 * 1024;
/// Calls that are answered on one connection.
const CALLS: usize = 16;

/// A client that speaks TLS where there is none.
pub(super) async fn tls_from_plain_port(stream: impl AsyncRead + AsyncWrite + Unpin, peer: Peer) {
    static BURST: Burst = Burst::new();
    if let Some(untold) = BURST.note() {
        tracing::warn!(
            %peer,
            untold,
            "a client speaks TLS to this port, which speaks none: it needs http:// in place of https://, or this \
             coordinator --tls-dir"
        );
    }
    say(stream, &ALERT).await;
}

/// A client that does not speak TLS where there is nothing else; `first` was read of it.
pub(super) async fn plain_from_tls_port(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    peer: Peer,
    first: Vec<u8>,
    speaks: Speaks,
) {
    static BURST: Burst = Burst::new();
    if let Some(untold) = BURST.note() {
        tracing::warn!(
            %peer,
            untold,
            ?speaks,
            "a client speaks no TLS to this port, which speaks nothing else; it was told"
        );
    }
    match speaks {
        Speaks::Http1 => {
            let length = SPEAKS_TLS.len() + 1;
            let head = "HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\nconnection: close\r\ncontent-length:";
            say(stream, format!("{head} {length}\r\n\r\n{SPEAKS_TLS}\n").as_bytes()).await;
        }
        // Whatever goes wrong now, there is nobody to tell.
        Speaks::Http2 => drop(timeout(timing::HANDSHAKE, say_to_calls(stream, first)).await),
        Speaks::Tls | Speaks::Unknown => {}
    }
}

/// Says it and waits for the client to close: bytes that nobody has read would make the kernel cut the connection, and the
/// client would not see what was said.
async fn say(mut stream: impl AsyncRead + AsyncWrite + Unpin, words: &[u8]) {
    let said = async {
        stream.write_all(words).await?;
        stream.shutdown().await?;
        tokio::io::copy(&mut (&mut stream).take(READ_ON), &mut tokio::io::sink()).await
    };
    let _ = timeout(timing::HANDSHAKE, said).await;
}

/// Answers the first calls. A connection that is closed before it has a call tells the caller nothing.
async fn say_to_calls(stream: impl AsyncRead + AsyncWrite + Unpin, first: Vec<u8>) -> Result<(), h2::Error> {
    let (read, write) = split(stream);
    let stream = join(Cursor::new(first).chain(read), write);
    let mut connection = h2::server::Builder::new()
        .max_concurrent_streams(1)
        .max_header_list_size(16 * 1024)
        .handshake::<_, Bytes>(stream)
        .await?;
    let mut answered = 0;
    while let Some(call) = connection.accept().await {
        let (request, mut respond) = call?;
        let content = request.headers().get(CONTENT_TYPE).map_or(&b""[..], |content| content.as_bytes());
        if content.starts_with(b"application/grpc") {
            // Trying again would not help.
            respond.send_response(Status::failed_precondition(SPEAKS_TLS).into_http(), true)?;
        } else {
            let mut response = Response::new(());
            *response.status_mut() = StatusCode::BAD_REQUEST;
            respond.send_response(response, false)?.send_data(Bytes::from_static(SPEAKS_TLS.as_bytes()), true)?;
        }
        answered += 1;
        if answered == CALLS {
            connection.graceful_shutdown();
        }
    }
    Ok(())
}

/// Reads on until it is clear what a client speaks that speaks no TLS.
///
/// # Errors
/// Where it goes away before.
pub(super) async fn listen_on(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<(Vec<u8>, Speaks)> {
    let mut first = Vec::with_capacity(64);
    loop {
        if stream.read_buf(&mut first).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if let Some(speaks) = speaks(&first) {
            return Ok((first, speaks));
        }
    }
}
