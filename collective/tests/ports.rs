//! A range of ports is all that ranks listen on, and one that is taken is refused in words.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::net::TcpListener;
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread;
use std::time::Duration;

use tandem_collective::{Error, ListenOn, PortRange, ProcessGroup, RendezvousStore};
use tch::{Device, Kind, Tensor};

const HOST: &str = "127.0.0.1";
const TIMEOUT: Duration = Duration::from_secs(20);

/// So many ports in a row that nobody has, apart from those that the system gives away and from those of other tests.
fn free_ports(count: u16) -> PortRange {
    static TAKEN: AtomicU16 = AtomicU16::new(0);
    let is_free = |port: u16| TcpListener::bind((HOST, port)).is_ok();
    let start = 10_000 + (std::process::id() % 1000) as u16 * 16;
    loop {
        let first = start + TAKEN.fetch_add(count, Ordering::Relaxed);
        let last = first + count - 1;
        if (first..=last).all(is_free) {
            return format!("{first}-{last}").parse().unwrap();
        }
    }
}

fn refused<T>(ports: PortRange, result: Result<T, Error>) -> String {
    let Some(Error::Unavailable(text)) = result.err() else { panic!("listens on ports that are taken") };
    assert!(text.contains(&ports.to_string()) && text.contains(&std::process::id().to_string()), "{text}");
    text
}

#[test]
fn two_ranks_and_their_rendezvous_need_three_ports() {
    let ports = free_ports(3);
    let on = ListenOn { host: HOST, ports: Some(ports) };
    let server = RendezvousStore::listen(on, TIMEOUT).unwrap();
    let port = server.port();
    assert!(ports.contains(port), "{port}");
    let rank = move |rank| {
        let store = RendezvousStore::connect(HOST, port, TIMEOUT).unwrap();
        let group = ProcessGroup::gloo(&store, "test", rank, 2, on, TIMEOUT).unwrap();
        let tensor = Tensor::ones([100_000], (Kind::Float, Device::Cpu));
        group.all_reduce_sum(&tensor).unwrap();
        assert_eq!(tensor.double_value(&[99_999]), 2.0);
        let rows = group.shard_sum(&Tensor::ones([1, 3], (Kind::Float, Device::Cpu))).unwrap();
        assert_eq!(Vec::<f32>::try_from(&rows.reshape([3])).unwrap(), [2.0; 3]);
        group
    };
    let groups = thread::scope(|scope| [0, 1].map(|n| scope.spawn(move || rank(n))).map(|rank| rank.join().unwrap()));
    let text = refused(ports, RendezvousStore::listen(on, TIMEOUT));
    assert!(text.contains("all 3") && text.contains("wider range"), "{text}");

    drop((groups, server));
    RendezvousStore::listen(on, TIMEOUT).unwrap();
}

#[test]
fn a_rank_finds_no_port_where_all_are_taken() {
    let ports = free_ports(2);
    let taken = [ports.first(), ports.last()].map(|port| TcpListener::bind((HOST, port)).unwrap());
    let store = RendezvousStore::listen(HOST, TIMEOUT).unwrap();
    let on = ListenOn { host: HOST, ports: Some(ports) };
    let group = || ProcessGroup::gloo(&store, "test", 1, 2, on, Duration::from_millis(100));
    refused(ports, group());

    // One more is enough: it waits for its peer.
    let [first, _last] = taken;
    drop(first);
    let error = group().err();
    assert!(matches!(error, Some(Error::Timeout(_))), "{error:?}");
}

#[test]
fn an_address_of_another_machine_is_no_matter_of_ports() {
    // TEST-NET-3: never an address of this machine.
    let on = ListenOn { host: "203.0.113.1", ports: Some(free_ports(2)) };
    let error = RendezvousStore::listen(on, TIMEOUT).err();
    assert!(matches!(&error, Some(Error::Unavailable(text)) if text.contains("address of this machine")), "{error:?}");
}
