//! `/metrics`: who may read it, and what it says.

use std::collections::BTreeSet;

use tandem_harness::TestDatabase;
use tandem_proto::v1;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UnixStream},
    time::timeout,
};

use crate::{
    LIMIT,
    server::{Server, submit},
};

/// Status and body.
async fn ask(mut line: impl AsyncReadExt + AsyncWriteExt + Unpin, token: Option<&str>) -> (String, String) {
    let authorization = token.map(|token| format!("authorization: Bearer {token}\r\n")).unwrap_or_default();
    let request = format!("GET /metrics HTTP/1.1\r\nhost: box\r\nconnection: close\r\n{authorization}\r\n");
    line.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    timeout(LIMIT, line.read_to_string(&mut answer)).await.unwrap().unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head[9..12].to_owned(), body.to_owned())
}

async fn far(server: &Server, token: Option<&str>) -> (String, String) {
    let address = server.address.trim_start_matches("http://");
    ask(TcpStream::connect(address).await.unwrap(), token).await
}

/// The value of a figure by its name and labels.
fn figure(page: &str, name: &str) -> f64 {
    let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("{name} in {page}")).parse().unwrap()
}

#[tokio::test]
async fn a_program_reads_figures_by_a_token_that_is_good_for_nothing_else() {
    let database = TestDatabase::create();
    let server = Server::start(&database).await;
    let scrape = server.token("scrape", "").await.secret;
    let worker = server.token("worker", "").await.secret;
    assert_eq!(far(&server, None).await.0, "401", "on loopback, too");
    assert_eq!(far(&server, Some("tdm_wrong")).await.0, "401");
    let (status, said) = far(&server, Some(&worker)).await;
    assert!(status == "403" && said.contains("role scrape"), "{status} {said}");
    assert_eq!(ask(UnixStream::connect(&server.socket).await.unwrap(), None).await.0, "200", "an account of the box");

    const JOB: &str = "name = \"one\"\ndataset = \"shapes\"\n[jobs.encoder]\nstage = \"contrastive\"\n\
                       encoder = \"resnet-tiny\"\nepochs = 1\nbatch_size = 64\n";
    server.jobs().await.submit(submit(JOB)).await.unwrap();
    let hostile = v1::SubmitRequest { toml: "name = \"\u{1b}[2J\"".to_owned(), ..submit("") };
    server.jobs().await.submit(hostile).await.unwrap_err();
    let page = tandem_harness::until_async("it leads, and what was read has been read again", LIMIT, async || {
        let (status, page) = far(&server, Some(&scrape)).await;
        assert_eq!(status, "200", "{page}");
        (page.contains("tandem_leader 1") && page.contains("tandem_jobs{state=\"queued\"} 1")).then_some(page)
    })
    .await;
    assert_eq!(figure(&page, "tandem_database_up"), 1.0);
    assert_eq!(figure(&page, "tandem_tells{state=\"pending\"}"), 0.0);
    assert_eq!(figure(&page, "tandem_worker_sessions"), 0.0);
    assert!(figure(&page, "tandem_requests_total{method=\"Jobs/Submit\",outcome=\"ok\"}") >= 1.0);
    assert!(figure(&page, "tandem_requests_total{method=\"Jobs/Submit\",outcome=\"invalid argument\"}") >= 1.0);
    assert!(figure(&page, "tandem_refusals_total{kind=\"unknown\"}") >= 2.0);
    assert!(figure(&page, "tandem_scheduler_pass_seconds_count") >= 1.0);
    assert!(figure(&page, "tandem_transaction_seconds_count{pool=\"people\",of=\"submit\"}") >= 1.0);
    assert!(figure(&page, "tandem_pool_wait_seconds_count{pool=\"lane\"}") >= 1.0);
    assert!(figure(&page, "process_resident_memory_bytes") > 1e6);
    // Nobody's name, no token, nothing of others.
    for secret in ["ann", "one", "encoder", &scrape, "\u{1b}"] {
        assert!(!page.contains(&format!("\"{secret}\"")) && !page.contains(&scrape), "{secret}");
    }
    // Each name is explained once.
    let named: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    assert_eq!(named.iter().collect::<BTreeSet<_>>().len(), named.len(), "{named:?}");
    server.stop().await;
}
