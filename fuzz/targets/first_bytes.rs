//! The first bytes of a client at the port that speaks TLS, and what it is told where it speaks something else.
//!
//! However the bytes are cut into pieces, the same is understood; who does not speak TLS is answered in words or not at all,
//! never at length, and is rid of within the time of two handshakes. TLS itself is rustls.

#![no_main]

use std::{net::SocketAddr, time::Duration};

use libfuzzer_sys::fuzz_target;
use tandem_domain::timing::HANDSHAKE;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, duplex, split},
    runtime::Builder,
    time::Instant,
};

#[rustfmt::skip]
#[path = "../../server/src/listen/burst.rs"]
mod burst;
#[rustfmt::skip]
#[path = "../../server/src/listen/head.rs"]
mod head;
#[rustfmt::skip]
#[path = "../../server/src/listen/peer.rs"]
#[expect(dead_code, reason = "a file of another program")]
mod peer;
#[rustfmt::skip]
#[path = "../../server/src/listen/turn_away.rs"]
#[expect(dead_code, reason = "a file of another program")]
mod turn_away;

use head::{Head, Speaks, speaks};
use peer::Peer;

/// More than any answer has, beside the settings and acknowledgements of HTTP/2, which follow from what was sent.
const ANSWER: usize = 16 * 1024;

fuzz_target!(|input: &[u8]| {
    let Some((&piece, bytes)) = input.split_first() else { return };
    let piece = usize::from(piece).max(1);
    understood(bytes, piece);
    if speaks(bytes).is_some_and(|spoken| spoken != Speaks::Tls) {
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.expect("a runtime without IO").block_on(turned_away(bytes, piece));
    }
});

fn understood(bytes: &[u8], piece: usize) {
    // What was said once is not taken back when more comes.
    let first = (0..=bytes.len()).find_map(|end| speaks(&bytes[..end]));
    assert_eq!(first, speaks(bytes));
    let is_there = Head::default().take(bytes);
    let mut head = Head::default();
    assert_eq!(bytes.chunks(piece).any(|part| head.take(part)), is_there, "cut into pieces of {piece}");
    assert_eq!(head.has_begun(), !bytes.is_empty());
}

async fn turned_away(bytes: &[u8], piece: usize) {
    let began = Instant::now();
    let (mut client, mut server) = duplex(64 * 1024);
    let serving = async move {
        let (first, spoken) = turn_away::listen_on(&mut server).await.expect("enough was sent to tell");
        let peer = Peer::Tcp { address: SocketAddr::from(([127, 0, 0, 1], 1)) };
        turn_away::plain_from_tls_port(server, peer, first, spoken).await;
        spoken
    };
    let speaking = async move {
        let mut answer = Vec::new();
        let (mut read, mut write) = split(&mut client);
        let sending = async {
            for part in bytes.chunks(piece) {
                if write.write_all(part).await.is_err() {
                    return;
                }
            }
        };
        // The client does not close: it is the other side that must.
        let (_, _) = tokio::join!(sending, read.read_to_end(&mut answer));
        answer
    };
    let (spoken, answer) = tokio::join!(serving, speaking);
    assert_eq!(Some(spoken), speaks(bytes));
    match spoken {
        Speaks::Http1 => assert!(answer.starts_with(b"HTTP/1.1 400 ") && answer.len() < 1024),
        Speaks::Unknown => assert!(answer.is_empty()),
        Speaks::Http2 => assert!(answer.len() < ANSWER + 4 * bytes.len(), "{} bytes", answer.len()),
        Speaks::Tls => unreachable!("it is served"),
    }
    let lasted = began.elapsed();
    assert!(lasted <= 2 * HANDSHAKE + Duration::from_secs(1), "it lasted {lasted:?}");
}
