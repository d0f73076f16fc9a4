//! Clients that speak the wrong thing are told so, in words of their own.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use tonic::{
    Code,
    codegen::{Bytes, http},
    service::Routes,
    transport::Endpoint,
};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

use super::{House, LIMIT, MANY, port};
use crate::listen::{incoming::Incoming, router, serve};

const PATIENCE: Duration = LIMIT;

/// Serves a health service as the coordinator does.
fn start(incoming: Incoming) -> AbortOnDropHandle<()> {
    let (_, health) = tonic_health::server::health_reporter();
    let router = router(Routes::new(health));
    AbortOnDropHandle::new(tokio::spawn(async {
        serve(router, incoming, &CancellationToken::new()).await.unwrap();
    }))
}

async fn say(address: SocketAddr, words: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(words).await.unwrap();
    let mut answer = Vec::new();
    timeout(LIMIT, stream.read_to_end(&mut answer)).await.expect("it is not closed").unwrap();
    answer
}

#[tokio::test]
async fn who_speaks_no_tls_to_tls_is_told_what_to_say() {
    let house = House::new();
    let (incoming, address) = house.incoming(MANY, PATIENCE).await;
    let _serving = start(incoming);
    // More than is read at once: the answer arrives even so.
    let long = format!("POST / HTTP/1.1\r\nhost: box\r\ncontent-length: 60000\r\n\r\n{}", "x".repeat(60_000));
    for request in ["GET / HTTP/1.1\r\nhost: box\r\n\r\n", &long] {
        let answer = String::from_utf8(say(address, request.as_bytes()).await).unwrap();
        assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("this port speaks TLS"), "{answer}");
        assert!(answer.contains("https://") && answer.contains("tandem join"), "{answer}");
    }
    assert_eq!(say(address, b"\0\0\0").await, b"");

    let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap().timeout(LIMIT);
    let mut client = HealthClient::new(endpoint.connect().await.unwrap());
    for _ in 0..3 {
        let status = client.check(HealthCheckRequest::default()).await.unwrap_err();
        assert_eq!(status.code(), Code::FailedPrecondition, "{status:?}");
        assert!(status.message().contains("this port speaks TLS: use https://"), "{status:?}");
    }
}

#[tokio::test]
async fn who_speaks_tls_to_a_plain_port_gets_an_alert_and_who_does_not_is_served() {
    let house = House::new();
    let (listener, address) = port().await;
    let _serving = start(Incoming::with(listener, None, None, MANY, PATIENCE));
    let error = house.connect(address).await.unwrap_err();
    assert!(error.to_string().contains("ProtocolVersion"), "{error}");

    let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap().timeout(LIMIT);
    let mut client = HealthClient::new(endpoint.connect().await.unwrap());
    client.check(HealthCheckRequest::default()).await.unwrap();
}

#[tokio::test]
async fn what_is_not_there_is_said_to_be_so_as_the_caller_understands_it() {
    let house = House::new();
    let (incoming, address) = house.incoming(MANY, PATIENCE).await;
    let _serving = start(incoming);
    let (mut client, connection) = h2::client::handshake(house.connect(address).await.unwrap()).await.unwrap();
    let _driving = AbortOnDropHandle::new(tokio::spawn(connection));
    let mut ask = async |path: &str, content: &str| {
        let request = http::Request::post(format!("https://tandem.internal{path}")).header("content-type", content);
        let (answer, mut body) = client.send_request(request.body(()).unwrap(), false).unwrap();
        // An empty message of gRPC.
        body.send_data(Bytes::from_static(&[0; 5]), true).unwrap();
        timeout(LIMIT, answer).await.expect("no answer").unwrap()
    };
    let known = ask("/grpc.health.v1.Health/Check", "application/grpc").await;
    assert_eq!((known.status().as_u16(), known.headers().get("grpc-status")), (200, None));
    for method in ["/tandem.v1.Jobs/Fly", "/tandem.v9.Jobs/Submit", "/"] {
        let unknown = ask(method, "application/grpc+proto").await;
        let header = |name| unknown.headers().get(name).map(|value| value.to_str().unwrap());
        assert_eq!((unknown.status().as_u16(), header("grpc-status")), (200, Some("12")), "{method}");
        assert!(header("grpc-message").unwrap().contains(method), "{unknown:?}");
    }
    let page = ask("/nowhere", "text/plain").await;
    assert_eq!((page.status().as_u16(), page.headers().get("grpc-status")), (404, None));
}

#[tokio::test]
async fn pages_are_asked_for_over_http_1_as_well() {
    let (listener, address) = port().await;
    let _serving = start(Incoming::with(listener, None, None, MANY, PATIENCE));
    let answer = say(address, b"GET /nowhere HTTP/1.1\r\nhost: box\r\nconnection: close\r\n\r\n").await;
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 404 ") && answer.contains("nothing at /nowhere"), "{answer}");
}
