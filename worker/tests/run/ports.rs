//! `--meet-ports`: what ranks listen on, as a firewall sees it.

use std::{collections::BTreeSet, fs, net::TcpListener, ops::RangeInclusive};

use tandem_proto::v1::RankOutcome;

use crate::{
    coordinator::Coordinator,
    worker::{Gang, Worker, assign, ended, of_two},
};

/// So many ports in a row that nobody has, apart from those that the system gives away.
fn free_ports(start: u16, count: u16) -> RangeInclusive<u16> {
    let start = start + (std::process::id() % 100) as u16 * 16;
    let mut ports = (start..).step_by(count.into()).map(|first| first..=first + count - 1);
    let is_free =
        |ports: &RangeInclusive<u16>| ports.clone().all(|port| TcpListener::bind(("127.0.0.1", port)).is_ok());
    ports.find(is_free).unwrap()
}

fn written(ports: &RangeInclusive<u16>) -> String {
    format!("{}-{}", ports.start(), ports.end())
}

/// The TCP ports on which this process listens, on whatever address.
fn listening(pid: u32) -> Vec<u16> {
    let files = fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
    let sockets: BTreeSet<String> = files
        .filter_map(|file| fs::read_link(file.ok()?.path()).ok()?.to_str().map(str::to_owned))
        .filter(|target| target.starts_with("socket:"))
        .collect();
    let tables = ["tcp", "tcp6"].map(|table| fs::read_to_string(format!("/proc/{pid}/net/{table}")).unwrap());
    let port = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (address, state, inode) = (fields[1], fields[3], fields[9]);
        let listens = state == "0A" && sockets.contains(&format!("socket:[{inode}]"));
        listens.then(|| u16::from_str_radix(address.rsplit_once(':').unwrap().1, 16).unwrap())
    };
    tables.iter().flat_map(|table| table.lines().skip(1)).filter_map(port).collect()
}

#[tokio::test]
async fn ranks_listen_on_no_port_outside_of_the_range() {
    let ports = free_ports(20_000, 8);
    let gang = Gang::start(&["--meet-on", "127.0.0.1", "--meet-ports", &written(&ports)]).await;
    let listening = gang.workers.each_ref().map(|worker| listening(worker.rank().unwrap()));
    assert!(listening.iter().flatten().all(|port| ports.contains(port)), "{listening:?} {ports:?}");
    // The rendezvous and Gloo on rank 0; Gloo, once for all its connections, on rank 1.
    let mut counts = listening.each_ref().map(Vec::len);
    counts.sort_unstable();
    assert_eq!(counts, [1, 2], "{listening:?}");
}

#[tokio::test]
async fn a_range_that_is_taken_is_told_with_who_has_it() {
    let ports = free_ports(24_000, 2);
    let _taken: Vec<_> = ports.clone().map(|port| TcpListener::bind(("127.0.0.1", port)).unwrap()).collect();
    let mut coordinator = Coordinator::start().await;
    let more = ["--meet-on", "127.0.0.1", "--meet-ports", &written(&ports)];
    let _worker = Worker::start_in(tempfile::tempdir().unwrap(), &coordinator.url(), &more);
    let mut session = coordinator.session().await;
    assign(&session, of_two("a", 5, 0)).await;
    let end = session.until(&mut Vec::new(), ended).await;
    // Not the job's fault: it may go on elsewhere.
    assert_eq!(end.outcome(), RankOutcome::Lost, "{}", end.cause);
    let holder = std::process::id().to_string();
    assert!(end.cause.contains(&written(&ports)) && end.cause.contains(&holder), "{}", end.cause);
}
