//! Who is at the other end of a connection, as far as the connection itself tells.

use std::net::SocketAddr;

/// In the extensions of every request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Peer {
    /// Nobody knows who: only a token tells.
    Tcp { address: SocketAddr },
    /// The kernel's word: which account, and which process.
    Socket { uid: u32, pid: Option<i32> },
}
