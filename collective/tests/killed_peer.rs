//! kill -9 of a rank, with real processes: this test starts its own binary again as the peer.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::env;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tandem_collective::{Error, ProcessGroup, RendezvousStore};
use tch::{Device, Kind, Tensor};

const HOST: &str = "127.0.0.1";
const PORT: &str = "TANDEM_TEST_PORT";
/// Long, so that nothing below can be mistaken for it.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Killed and reaped whatever becomes of the test.
struct Peer(Child);

impl Peer {
    fn start(port: u16) -> Self {
        let child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "a_killed_peer_is_lost_at_once", "--nocapture"])
            .env(PORT, port.to_string())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self(child)
    }

    fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn step(group: &ProcessGroup) -> Result<(), Error> {
    group.all_reduce_sum(&Tensor::ones([100_000], (Kind::Float, Device::Cpu)))
}

#[test]
fn a_killed_peer_is_lost_at_once() {
    if let Ok(port) = env::var(PORT) {
        let store = RendezvousStore::connect(HOST, port.parse().unwrap(), TIMEOUT).unwrap();
        let group = ProcessGroup::gloo(&store, "test", 1, 2, HOST, TIMEOUT).unwrap();
        while step(&group).is_ok() {}
        return;
    }
    let store = RendezvousStore::listen(HOST, TIMEOUT).unwrap();
    let mut peer = Peer::start(store.port());
    let group = ProcessGroup::gloo(&store, "test", 0, 2, HOST, TIMEOUT).unwrap();
    for _ in 0..3 {
        step(&group).unwrap();
    }

    peer.kill();
    let killed = Instant::now();
    let error = loop {
        if let Err(error) = step(&group) {
            break error;
        }
    };
    assert!(matches!(error, Error::PeerLost(_)), "{error:?}");
    assert!(error.breaks_group());
    assert_eq!(step(&group), Err(error), "and it stays lost");
    drop(group);
    drop(store);
    assert!(killed.elapsed() < Duration::from_secs(2), "{:?}", killed.elapsed());
}
