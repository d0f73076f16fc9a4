//! How many connections may be open: in all, and of one client.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Whose connections are counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Client {
    /// This box itself, over TCP.
    Loopback,
    /// An account of this box, over the socket.
    Account(u32),
    Address(IpAddr),
}

impl Client {
    /// Who connects from `peer` to our address `own`. One who has an IPv6 address has its 64 lower bits for nothing, so
    /// these do not count.
    pub(super) fn of(peer: IpAddr, own: Option<IpAddr>) -> Self {
        let peer = peer.to_canonical();
        if peer.is_loopback() || own.is_some_and(|own| own.to_canonical() == peer) {
            return Self::Loopback;
        }
        Self::Address(match peer {
            IpAddr::V6(address) => Ipv6Addr::from(u128::from(address) >> 64 << 64).into(),
            IpAddr::V4(_) => peer,
        })
    }
}

/// The bounds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Each costs a file and some tens of kilobytes.
    pub(super) all: usize,
    /// A host with sixteen cards has as many workers, and a person has a few commands: this leaves room for a whole rack
    /// behind one gateway.
    pub(super) address: usize,
    /// A thousand workers on the box have two connections each for a moment, when they dial again. Who has an account here
    /// could do worse than that; the rest of `all` stays free for others.
    pub(super) on_the_box: usize,
}

impl Limits {
    /// With so many open files allowed: a quarter is for the database, the store and what else is open.
    pub(super) fn with_files(files: Option<u64>) -> Self {
        const ALL: usize = 4096;
        let all = files.map_or(ALL, |files| usize::try_from(files / 4 * 3).unwrap_or(ALL).clamp(1, ALL));
        Self { all, address: 256.min(all), on_the_box: all / 4 * 3 + 1 }
    }

    fn of(self, client: Client) -> usize {
        match client {
            Client::Address(_) => self.address,
            Client::Loopback | Client::Account(_) => self.on_the_box,
        }
    }
}

/// Counts the open connections.
#[derive(Clone, Debug)]
pub(super) struct Places {
    limits: Limits,
    taken: Arc<Mutex<Taken>>,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    /// Without those who have none, so it never holds more than `all`.
    of: HashMap<Client, usize>,
}

/// Taken for as long as the connection is open.
#[derive(Debug)]
pub(super) struct Place {
    client: Client,
    taken: Arc<Mutex<Taken>>,
}

/// Which bound is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Full {
    #[error("{0} connections are open in all, and no more are taken")]
    All(usize),
    #[error("this client has {0} connections open, and is given no more")]
    Client(usize),
}

impl Places {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, taken: Arc::default() }
    }

    pub(super) fn take(&self, client: Client) -> Result<Place, Full> {
        let mut taken = lock(&self.taken);
        let most = self.limits.of(client);
        if taken.of.get(&client).is_some_and(|&count| count >= most) {
            return Err(Full::Client(most));
        }
        if taken.all >= self.limits.all {
            return Err(Full::All(self.limits.all));
        }
        taken.all += 1;
        *taken.of.entry(client).or_default() += 1;
        Ok(Place { client, taken: self.taken.clone() })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = lock(&self.taken);
        taken.all -= 1;
        if let Some(count) = taken.of.get_mut(&self.client) {
            *count -= 1;
            if *count == 0 {
                taken.of.remove(&self.client);
            }
        }
    }
}

fn lock(taken: &Mutex<Taken>) -> MutexGuard<'_, Taken> {
    taken.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(peer: &str, own: &str) -> Client {
        Client::of(peer.parse().unwrap(), Some(own.parse().unwrap()))
    }

    #[test]
    fn one_client_cannot_take_the_places_of_all() {
        let places = Places::new(Limits { all: 5, address: 2, on_the_box: 3 });
        let [ann, bob] = ["10.0.0.1", "10.0.0.2"].map(|peer| client(peer, "10.0.0.9"));
        let mut held = vec![places.take(ann).unwrap(), places.take(ann).unwrap()];
        assert_eq!(places.take(ann).unwrap_err(), Full::Client(2));
        held.extend((0..3).map(|_| places.take(Client::Loopback).unwrap()));
        assert_eq!(places.take(bob).unwrap_err(), Full::All(5));
        held.remove(0);
        drop(places.take(bob).unwrap());
        held.push(places.take(ann).unwrap());
        drop(held);
        let taken = lock(&places.taken);
        assert_eq!((taken.all, taken.of.len()), (0, 0), "nobody is remembered");
    }

    #[test]
    fn a_client_is_known_by_what_it_cannot_change() {
        assert_eq!(client("127.0.0.1", "127.0.0.1"), Client::Loopback);
        assert_eq!(client("::ffff:127.0.0.1", "::1"), Client::Loopback);
        assert_eq!(client("10.0.0.9", "10.0.0.9"), Client::Loopback, "this box by its own address");
        assert_eq!(client("::ffff:10.0.0.1", "::1"), client("10.0.0.1", "10.0.0.9"));
        assert_eq!(client("2001:db8::1", "::1"), client("2001:db8::ffff", "::1"));
        assert_ne!(client("2001:db8::1", "::1"), client("2001:db8:0:1::1", "::1"));
    }

    #[test]
    fn there_are_places_for_a_thousand_workers_of_the_box_and_for_others_and_files_for_the_rest() {
        let limits = Limits::with_files(None);
        assert!(limits.on_the_box > 2000 && limits.all - limits.on_the_box >= limits.address * 3, "{limits:?}");
        let few = Limits::with_files(Some(1024));
        assert!(few.all == 768 && few.address == 256 && few.on_the_box < few.all, "{few:?}");
        let none = Limits::with_files(Some(0));
        assert!(none.all > 0 && none.on_the_box > 0 && none.address > 0);
    }
}
