//! Where the ranks of an attempt find each other.

use std::io;
use std::net::{TcpListener, TcpStream, ToSocketAddrs};
use std::os::fd::IntoRawFd;
use std::time::{Duration, Instant};

use crate::{Error, ListenOn, ffi, listen};

/// A key-value store that one rank serves and all ranks use while they form a group (c10d's TCPStore).
///
/// A group keeps it alive: the serving rank may drop its handle once the group exists.
pub struct RendezvousStore {
    pub(crate) handle: ffi::StoreHandle,
    port: u16,
}

impl RendezvousStore {
    /// Serves a store on a free port. It listens on no other address, because there is no password.
    ///
    /// `timeout` bounds every later wait for a key.
    pub fn listen<'a>(on: impl Into<ListenOn<'a>>, timeout: Duration) -> Result<Self, Error> {
        let ListenOn { host, ports } = on.into();
        let unavailable = |error: io::Error| listen::unavailable(host, 0, &error);
        let listener = match ports {
            None => TcpListener::bind((host, 0)).map_err(unavailable)?,
            Some(ports) => listen::first_free(host, ports, |listener| Ok(Some(listener)))?,
        };
        let address = listener.local_addr().map_err(unavailable)?;
        let handle =
            ffi::StoreHandle::listen(&address.ip().to_string(), listener.into_raw_fd(), address.port(), timeout)?;
        Ok(Self { handle, port: address.port() })
    }

    /// Joins another rank's store, trying for `timeout`, which also bounds every later wait for a key.
    pub fn connect(host: &str, port: u16, timeout: Duration) -> Result<Self, Error> {
        await_listener(host, port, timeout)?;
        Ok(Self { handle: ffi::StoreHandle::connect(host, port, timeout)?, port })
    }

    pub fn port(&self) -> u16 {
        self.port
    }
}

/// Returns once somebody listens there. c10d would wait too, but a second at a time, with a stack trace in the log for
/// each try.
fn await_listener(host: &str, port: u16, timeout: Duration) -> Result<(), Error> {
    const PAUSE: Duration = Duration::from_millis(20);
    let started = Instant::now();
    loop {
        let error = match first_connection(host, port, timeout.saturating_sub(started.elapsed()).max(PAUSE)) {
            Ok(_) => return Ok(()),
            Err(error) => error,
        };
        if started.elapsed() >= timeout {
            return Err(Error::Timeout(format!(
                "joining the rendezvous at {host}:{port}: no connection within {timeout:?}: {error}; is rank 0 running, and is this address reachable?"
            )));
        }
        std::thread::sleep(PAUSE);
    }
}

/// Tries each address of `host`; returns the last failure.
fn first_connection(host: &str, port: u16, timeout: Duration) -> io::Result<TcpStream> {
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in (host, port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, timeout) {
            Ok(stream) => return Ok(stream),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}
