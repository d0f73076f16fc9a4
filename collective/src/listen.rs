//! Where a rank listens, and how it takes a port there.

use std::io::{self, ErrorKind};
use std::net::TcpListener;

use crate::holders::holders;
use crate::{Error, PortRange};

/// An address, or name, of this machine, and the ports that may be taken there. A host alone stands for any free port.
#[derive(Clone, Copy, Debug)]
pub struct ListenOn<'a> {
    pub host: &'a str,
    pub ports: Option<PortRange>,
}

impl<'a> From<&'a str> for ListenOn<'a> {
    fn from(host: &'a str) -> Self {
        Self { host, ports: None }
    }
}

/// Binds one port after another until `take`, which gets the socket, does not say that somebody else was faster.
pub(crate) fn first_free<T>(
    host: &str,
    ports: PortRange,
    mut take: impl FnMut(TcpListener) -> Result<Option<T>, Error>,
) -> Result<T, Error> {
    // Not the same one each time: a rank of an earlier attempt that still calls its peer must not reach the next one.
    for port in ports.around(std::process::id()) {
        let listener = match TcpListener::bind((host, port)) {
            Err(error) if error.kind() == ErrorKind::AddrInUse => continue,
            bound => bound.map_err(|error| unavailable(host, port, &error))?,
        };
        if let Some(taken) = take(listener)? {
            return Ok(taken);
        }
    }
    let count = ports.count();
    let by = holders(ports).map_or("by programs of other accounts".to_owned(), |names| format!("by {names}"));
    Err(Error::Unavailable(format!(
        "cannot listen on `{host}` for the other ranks: the ports {ports} (--meet-ports) are taken, all {count} of them, \
         {by}; end what holds them, or give a wider range"
    )))
}

/// Why one port, 0 for any, could not be had.
pub(crate) fn unavailable(host: &str, port: u16, error: &io::Error) -> Error {
    let remedy = match error.kind() {
        ErrorKind::PermissionDenied => format!("; port {port} needs root, or CAP_NET_BIND_SERVICE"),
        _ => "; it must be an address of this machine".to_owned(),
    };
    Error::Unavailable(format!("cannot listen on `{host}` for the other ranks: {error}{remedy}"))
}
