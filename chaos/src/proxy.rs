//! The wire between one worker and one coordinator, which can be cut, or go silent.

use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result};

/// How soon a change of state shows.
const LOOK_EVERY: Duration = Duration::from_millis(20);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum WireState {
    Open,
    /// Connections are closed, new ones too, at once.
    Cut,
    /// Connections stay; nothing comes through until it is open again.
    Silent,
    /// For good.
    Gone,
}

/// A listener on loopback that passes on what it gets.
#[derive(Debug)]
pub(crate) struct Wire {
    port: u16,
    state: Arc<AtomicU8>,
}

impl Wire {
    /// # Errors
    /// When no port or thread can be had.
    pub(crate) fn to(coordinator: u16) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free TCP port on 127.0.0.1")?;
        listener.set_nonblocking(true)?;
        let port = listener.local_addr()?.port();
        let state = Arc::new(AtomicU8::new(WireState::Open as u8));
        let shared = Arc::clone(&state);
        thread::Builder::new()
            .name("wire".to_owned())
            .spawn(move || listen(&listener, SocketAddr::from((Ipv4Addr::LOCALHOST, coordinator)), &shared))
            .context("cannot start a thread for a wire")?;
        Ok(Self { port, state })
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(crate) fn set(&self, state: WireState) {
        self.state.store(state as u8, Ordering::SeqCst);
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.set(WireState::Gone);
    }
}

fn is(state: &AtomicU8, wanted: WireState) -> bool {
    state.load(Ordering::SeqCst) == wanted as u8
}

fn listen(listener: &TcpListener, coordinator: SocketAddr, state: &Arc<AtomicU8>) {
    while !is(state, WireState::Gone) {
        match listener.accept() {
            // Closed as it is dropped.
            Ok(_) if is(state, WireState::Cut) => {}
            Ok((client, _)) => {
                let shared = Arc::clone(state);
                // Without a thread the connection is closed: the worker dials again.
                let _ = thread::Builder::new().spawn(move || pass(client, coordinator, &shared));
            }
            Err(_) => thread::sleep(LOOK_EVERY),
        }
    }
}

fn pass(client: TcpStream, coordinator: SocketAddr, state: &Arc<AtomicU8>) {
    if !passes(state) {
        return;
    }
    // A coordinator that is not there: the client sees its connection closed.
    let Ok(server) = TcpStream::connect(coordinator) else { return };
    let (Ok(client_again), Ok(server_again)) = (client.try_clone(), server.try_clone()) else { return };
    let shared = Arc::clone(state);
    let back = thread::Builder::new().spawn(move || copy(server_again, client_again, &shared));
    copy(client, server, state);
    if let Ok(back) = back {
        let _ = back.join();
    }
}

/// Waits while the wire is silent; `false` once it is cut.
fn passes(state: &AtomicU8) -> bool {
    while is(state, WireState::Silent) {
        thread::sleep(LOOK_EVERY);
    }
    is(state, WireState::Open)
}

/// One direction, until either end closes or the wire is cut.
fn copy(mut from: TcpStream, mut to: TcpStream, state: &AtomicU8) {
    // Errors here and below mean the same: this connection is over.
    let _ = from.set_nonblocking(false);
    let _ = from.set_nodelay(true);
    let _ = to.set_nodelay(true);
    let _ = from.set_read_timeout(Some(LOOK_EVERY));
    let mut buffer = vec![0; 64 << 10];
    while passes(state) {
        match from.read(&mut buffer) {
            Ok(0) => break,
            // What was read while the state changed does not slip through.
            Ok(length) => {
                if !passes(state) || to.write_all(&buffer[..length]).is_err() {
                    break;
                }
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(_) => break,
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers each byte with the same byte.
    fn echo() -> u16 {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                thread::spawn(move || {
                    let mut byte = [0];
                    while stream.read_exact(&mut byte).is_ok() && stream.write_all(&byte).is_ok() {}
                });
            }
        });
        port
    }

    fn dial(wire: &Wire) -> TcpStream {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, wire.port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        stream
    }

    fn ask(stream: &mut TcpStream, byte: u8) -> std::io::Result<u8> {
        stream.write_all(&[byte])?;
        let mut answer = [0];
        stream.read_exact(&mut answer)?;
        Ok(answer[0])
    }

    #[test]
    fn a_cut_closes_what_is_there_and_what_comes_until_it_is_open_again() {
        let wire = Wire::to(echo()).unwrap();
        let mut stream = dial(&wire);
        assert_eq!(ask(&mut stream, 7).unwrap(), 7);
        wire.set(WireState::Cut);
        assert!(ask(&mut stream, 8).is_err());
        assert!(ask(&mut dial(&wire), 9).is_err());
        wire.set(WireState::Open);
        assert_eq!(ask(&mut dial(&wire), 10).unwrap(), 10);
    }

    #[test]
    fn silence_keeps_what_is_said_for_later() {
        let wire = Wire::to(echo()).unwrap();
        let mut stream = dial(&wire);
        assert_eq!(ask(&mut stream, 1).unwrap(), 1);
        wire.set(WireState::Silent);
        stream.set_read_timeout(Some(10 * LOOK_EVERY)).unwrap();
        let silent = ask(&mut stream, 2);
        assert!(silent.is_err(), "{silent:?}");
        wire.set(WireState::Open);
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let mut answer = [0];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(answer[0], 2);
    }
}
