//! Spans, as a collector gets them.

use std::{
    path::Path,
    sync::{Arc, Mutex},
};

use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
    common::v1::{KeyValue, any_value::Value},
    trace::v1::Span,
};
use tandem_harness::{Program, TestDatabase, announced_address, until_async};
use tandem_proto::v1::{self, fleet_client::FleetClient, people_client::PeopleClient};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{
    Request, Response, Status,
    transport::{Endpoint, Server},
};

use crate::LIMIT;

#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<Span>>>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let scopes = request.into_inner().resource_spans.into_iter().flat_map(|resource| resource.scope_spans);
        self.0.lock().unwrap().extend(scopes.flat_map(|scope| scope.spans));
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

fn text(span: &Span, key: &str) -> Option<String> {
    let found = span.attributes.iter().find(|KeyValue { key: name, .. }| name == key)?;
    match found.value.clone()?.value? {
        Value::StringValue(text) => Some(text),
        other => Some(format!("{other:?}")),
    }
}

// The collector answers while this test waits for the server's end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_and_its_transactions_are_spans_without_a_secret() {
    let collector = Collector::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("--otlp=http://{}", listener.local_addr().unwrap());
    let service = TraceServiceServer::new(collector.clone());
    tokio::spawn(Server::builder().add_service(service).serve_with_incoming(TcpListenerStream::new(listener)));

    let database = TestDatabase::create();
    let (url, folder) = (database.url(), database.folder.path());
    let (announce, log, socket) = (folder.join("announce.json"), folder.join("log"), folder.join("s.sock"));
    let program = Program::new("the server", Path::new(env!("CARGO_BIN_EXE_tandem-server")), &log)
        .args(["--database-url", &url, "--listen=127.0.0.1:0", &endpoint, "--store"])
        .arg(folder.join("store"))
        .arg("--socket")
        .arg(&socket)
        .arg("--announce")
        .arg(&announce);
    let mut server = program.start().unwrap();
    until_async("the server listens", LIMIT, async || announced_address(&announce)).await;
    let channel = Endpoint::try_from(format!("unix://{}", socket.display())).unwrap().connect().await.unwrap();
    let request = v1::NewTokenRequest { name: "laptop".into(), role: "scrape".into(), ..Default::default() };
    let secret = PeopleClient::new(channel.clone()).new_token(request).await.unwrap().into_inner().secret;
    let release = v1::ReleaseRequest { worker: "nobody".into() };
    FleetClient::new(channel).release(release).await.unwrap_err();
    server.terminate();
    assert_eq!(server.wait(LIMIT).unwrap().code(), Some(0));

    let spans = collector.0.lock().unwrap().clone();
    let named =
        |name: &str| spans.iter().find(|span| span.name == name).unwrap_or_else(|| panic!("{name} in {spans:#?}"));
    let made = named("People/NewToken");
    assert_eq!(text(made, "outcome").as_deref(), Some("ok"), "{made:#?}");
    assert!(text(made, "who").is_some_and(|who| who.starts_with("login:")), "{made:#?}");
    assert_eq!(text(named("Fleet/Release"), "outcome").as_deref(), Some("not found"));
    // Its transaction, by the file that began it, is a part of it.
    let inside = spans.iter().find(|span| span.name == "people" && span.parent_span_id == made.span_id);
    assert_eq!(inside.and_then(|span| text(span, "committed")).as_deref(), Some("BoolValue(true)"), "{spans:#?}");
    assert!(spans.iter().any(|span| span.name == "schedule"), "the scheduler's, too");
    assert!(!format!("{spans:?}").contains(&secret[13..]), "a token in a span");
    // The log has no more in it than without.
    let log = std::fs::read_to_string(&log).unwrap();
    assert!(!log.contains("transaction{"), "{log}");
}
