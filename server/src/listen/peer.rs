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

impl std::fmt::Display for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp { address } => address.fmt(f),
            Self::Socket { uid, .. } => write!(f, "the socket, account {uid}"),
        }
    }
}
