//! A proxy between one worker and one coordinator, or one coordinator and Postgres. It can cut connections, or let
//! nothing through.

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
const POLL_INTERVAL: Duration = Duration::from_millis(20);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum ProxyState {
    Open,
    /// Connections are closed at once, new ones too.
    Cut,
    /// Connections stay, but nothing comes through until the proxy is open again.
    Silent,
    /// Cut for good.
    Closed,
}

/// Listens on loopback and passes on what it gets.
#[derive(Debug)]
pub(crate) struct Proxy {
    port: u16,
    state: Arc<AtomicU8>,
}

impl Proxy {
    /// # Errors
    /// When no port or thread can be had.
    pub(crate) fn to(coordinator: u16) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free TCP port on 127.0.0.1")?;
        listener.set_nonblocking(true)?;
        let port = listener.local_addr()?.port();
        let state = Arc::new(AtomicU8::new(ProxyState::Open as u8));
        let shared = Arc::clone(&state);
        thread::Builder::new()
            .name("proxy".to_owned())
            .spawn(move || listen(&listener, SocketAddr::from((Ipv4Addr::LOCALHOST, coordinator)), &shared))
            .context("cannot start a proxy's thread")?;
        Ok(Self { port, state })
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(crate) fn set(&self, state: ProxyState) {
        self.state.store(state as u8, Ordering::SeqCst);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.set(ProxyState::Closed);
    }
}

fn is(state: &AtomicU8, wanted: ProxyState) -> bool {
    state.load(Ordering::SeqCst) == wanted as u8
}

fn listen(listener: &TcpListener, coordinator: SocketAddr, state: &Arc<AtomicU8>) {
    while !is(state, ProxyState::Closed) {
        match listener.accept() {
            // Dropping the connection closes it.
            Ok(_) if is(state, ProxyState::Cut) => {}
            Ok((client, _)) => {
                let shared = Arc::clone(state);
                // Without a thread the connection is closed, and the worker connects again.
                let _ = thread::Builder::new().spawn(move || forward(client, coordinator, &shared));
            }
            Err(_) => thread::sleep(POLL_INTERVAL),
        }
    }
}

fn forward(client: TcpStream, coordinator: SocketAddr, state: &Arc<AtomicU8>) {
    if !wait_until_open(state) {
        return;
    }
    // If the coordinator is not there, the client's connection is closed.
    let Ok(server) = TcpStream::connect(coordinator) else { return };
    let (Ok(client_again), Ok(server_again)) = (client.try_clone(), server.try_clone()) else { return };
    let shared = Arc::clone(state);
    let back = thread::Builder::new().spawn(move || copy(server_again, client_again, &shared));
    copy(client, server, state);
    if let Ok(back) = back {
        let _ = back.join();
    }
}

/// Waits while the proxy is silent; false once it is cut.
fn wait_until_open(state: &AtomicU8) -> bool {
    while is(state, ProxyState::Silent) {
        thread::sleep(POLL_INTERVAL);
    }
    is(state, ProxyState::Open)
}

/// One direction, until either end closes or the proxy is cut.
fn copy(mut from: TcpStream, mut to: TcpStream, state: &AtomicU8) {
    // An error here or below means that this connection has ended.
    let _ = from.set_nonblocking(false);
    let _ = from.set_nodelay(true);
    let _ = to.set_nodelay(true);
    let _ = from.set_read_timeout(Some(POLL_INTERVAL));
    let mut buffer = vec![0; 64 << 10];
    while wait_until_open(state) {
        match from.read(&mut buffer) {
            Ok(0) => break,
            // What was read while the state changed does not get through.
            Ok(length) => {
                if !wait_until_open(state) || to.write_all(&buffer[..length]).is_err() {
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

    fn connect(proxy: &Proxy) -> TcpStream {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, proxy.port)).unwrap();
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
        let proxy = Proxy::to(echo()).unwrap();
        let mut stream = connect(&proxy);
        assert_eq!(ask(&mut stream, 7).unwrap(), 7);
        proxy.set(ProxyState::Cut);
        assert!(ask(&mut stream, 8).is_err());
        assert!(ask(&mut connect(&proxy), 9).is_err());
        proxy.set(ProxyState::Open);
        assert_eq!(ask(&mut connect(&proxy), 10).unwrap(), 10);
    }

    #[test]
    fn what_is_sent_in_silence_arrives_later() {
        let proxy = Proxy::to(echo()).unwrap();
        let mut stream = connect(&proxy);
        assert_eq!(ask(&mut stream, 1).unwrap(), 1);
        proxy.set(ProxyState::Silent);
        stream.set_read_timeout(Some(10 * POLL_INTERVAL)).unwrap();
        let silent = ask(&mut stream, 2);
        assert!(silent.is_err(), "{silent:?}");
        proxy.set(ProxyState::Open);
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let mut answer = [0];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(answer[0], 2);
    }
}
