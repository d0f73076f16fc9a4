//! Ranks for tests: each on a thread of its own, with its own store connection and group, over loopback.

use std::thread;
use std::time::Duration;

use tandem_collective::{ProcessGroup, RendezvousStore};

pub(crate) const HOST: &str = "127.0.0.1";
pub(crate) const TIMEOUT: Duration = Duration::from_secs(20);

/// Runs `body` once per rank and returns what each came to, by rank.
pub(crate) fn run<T: Send>(world_size: u32, timeout: Duration, body: impl Fn(ProcessGroup) -> T + Sync) -> Vec<T> {
    let server = RendezvousStore::listen(HOST, timeout).unwrap();
    let port = server.port();
    let body = &body;
    thread::scope(|scope| {
        let ranks: Vec<_> = (0..world_size)
            .map(|rank| {
                scope.spawn(move || {
                    let store = RendezvousStore::connect(HOST, port, timeout).unwrap();
                    body(ProcessGroup::gloo(&store, "test", rank, world_size, HOST, timeout).unwrap())
                })
            })
            .collect();
        ranks.into_iter().map(|rank| rank.join().unwrap()).collect()
    })
}
