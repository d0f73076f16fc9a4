//! Clients that are silent or slow, and too many of them.

use std::{io, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UnixStream},
    time::timeout,
};
use tokio_stream::StreamExt;
use tonic::transport::server::Connected;

use super::{super::socket, House, LIMIT, MANY, port};
use crate::listen::{connection::Connection, incoming::Incoming, peer::Peer, places::Limits};

const PATIENCE: Duration = Duration::from_millis(300);
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

async fn next(incoming: &mut Incoming) -> Connection {
    timeout(LIMIT, incoming.next()).await.expect("no connection comes").unwrap().unwrap()
}

/// The error that ends the connection, after what it received.
async fn end(connection: &mut Connection) -> io::Error {
    let mut received = Vec::new();
    timeout(LIMIT, connection.read_to_end(&mut received)).await.expect("it is not closed").unwrap_err()
}

#[tokio::test]
async fn a_client_that_does_not_begin_in_time_is_left_and_one_that_began_is_not() {
    let (listener, address) = port().await;
    let mut incoming = Incoming::with(listener, None, None, MANY, PATIENCE);
    let mut begun = TcpStream::connect(address).await.unwrap();
    begun.write_all(PREFACE).await.unwrap();
    let mut served = next(&mut incoming).await;
    served.read_exact(&mut [0; PREFACE.len()]).await.unwrap();
    for words in [&b""[..], b"PRI * HTTP/2.0\r\n\r\n", b"GET / HTTP/1.1\r\nhost: box\r\n"] {
        let mut slow = TcpStream::connect(address).await.unwrap();
        slow.write_all(words).await.unwrap();
        assert_eq!(end(&mut next(&mut incoming).await).await.kind(), io::ErrorKind::TimedOut, "{words:?}");
    }
    let longer = timeout(PATIENCE, served.read(&mut [0; 8])).await;
    assert!(longer.is_err(), "it may be silent now: {longer:?}");
}

#[tokio::test]
async fn a_client_of_tls_that_says_nothing_is_left_before_the_handshake_and_after_it() {
    let house = House::new();
    let (mut incoming, address) = house.incoming(MANY, PATIENCE).await;
    let mut silent = TcpStream::connect(address).await.unwrap();
    let mut stuck = TcpStream::connect(address).await.unwrap();
    stuck.write_all(&[0x16, 3, 1]).await.unwrap();
    let (client, mut served) = tokio::join!(house.connect(address), next(&mut incoming));
    let _client = client.unwrap();
    assert_eq!(end(&mut served).await.kind(), io::ErrorKind::TimedOut);
    // The others are greeted while connections are waited for.
    let ends = async {
        for client in [&mut silent, &mut stuck] {
            assert!(matches!(client.read(&mut [0; 8]).await, Ok(0) | Err(_)));
        }
    };
    tokio::select! {
        () = async { timeout(LIMIT, ends).await.expect("they are not closed") } => {}
        _ = incoming.next() => panic!("there is nobody to serve"),
    }
}

#[tokio::test]
async fn silent_clients_keep_nobody_from_the_handshake() {
    let house = House::new();
    let (mut incoming, address) = house.incoming(MANY, LIMIT).await;
    let mut silent = Vec::new();
    for _ in 0..50 {
        silent.push(TcpStream::connect(address).await.unwrap());
    }
    let (client, _) = tokio::join!(house.connect(address), next(&mut incoming));
    client.unwrap();
}

#[tokio::test]
async fn one_client_has_so_many_connections_and_another_is_served() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let (socket, _file) = socket::listen(&path).await.unwrap();
    let (listener, address) = port().await;
    let limits = Limits { all: 4, address: 2, on_the_box: 2 };
    let mut incoming = Incoming::with(listener, None, Some(socket), limits, LIMIT);
    let connect = async || TcpStream::connect(address).await.unwrap();
    let (_one, _two, mut three) = (connect().await, connect().await, connect().await);
    let (first, _second) = (next(&mut incoming).await, next(&mut incoming).await);
    let local = UnixStream::connect(&path).await.unwrap();
    let other = next(&mut incoming).await;
    let uid = rustix::process::getuid().as_raw();
    let pid = i32::try_from(std::process::id()).ok();
    assert_eq!(other.connect_info(), Peer::Socket { uid, pid });
    let closed = async { three.read(&mut [0; 8]).await };
    tokio::select! {
        closed = timeout(LIMIT, closed) => assert!(matches!(closed.expect("it is open"), Ok(0) | Err(_))),
        _ = incoming.next() => panic!("a third one is served"),
    }
    drop((first, local));
    let again = connect().await;
    let served = next(&mut incoming).await;
    assert_eq!(served.connect_info(), Peer::Tcp { address: again.local_addr().unwrap() });
}
