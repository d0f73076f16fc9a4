//! Opens the port and the socket as the options say.

use std::{
    io,
    net::{IpAddr, SocketAddr},
};

use rustix::process::{Resource, getrlimit};
use tokio::net::{TcpListener, UnixListener};
use tokio_util::sync::CancellationToken;

use super::{
    incoming::Incoming,
    socket::{self, SocketError, SocketFile},
    tls::{Names, Tls, TlsError, hostname},
};
use crate::config::Args;

/// Why it cannot be listened as the options say.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    #[error(
        "refused to listen on {0} without TLS: that is beyond loopback, and everybody on the way could read tokens and \
         results. Pass --tls-dir FOLDER (certificates are made there) or --tls-cert FILE and --tls-key FILE, or listen on \
         127.0.0.1"
    )]
    Exposed(SocketAddr),
    #[error(
        "cannot listen on {address}: {source}. Does another tandem-server run there? --listen {ip}:0 takes any free \
         port",
        ip = .address.ip()
    )]
    Port { address: SocketAddr, source: io::Error },
    #[error(transparent)]
    Socket(#[from] SocketError),
    #[error(transparent)]
    Tls(#[from] TlsError),
}

impl ListenError {
    /// The exit code, as in sysexits.h.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Port { .. } | Self::Socket(_) => 71,
            Self::Exposed(_) => 78,
            Self::Tls(error) => error.exit_code(),
        }
    }
}

/// Port and socket, open: clients may connect and wait.
pub(crate) struct Listening {
    pub(crate) address: SocketAddr,
    port: TcpListener,
    tls: Option<Tls>,
    socket: Option<UnixListener>,
    /// Removed when this is dropped.
    pub(crate) socket_file: Option<SocketFile>,
}

/// # Errors
/// Where what is said on the port could be read by others.
pub(crate) fn check_exposure(args: &Args) -> Result<(), ListenError> {
    let is_private = args.listen.ip().is_loopback() || args.tls_dir.is_some() || args.tls_cert.is_some();
    if is_private { Ok(()) } else { Err(ListenError::Exposed(args.listen)) }
}

impl Listening {
    /// # Errors
    /// Says what is in the way, and what to do.
    pub(crate) async fn open(args: &Args) -> Result<Self, ListenError> {
        let failed = |source| ListenError::Port { address: args.listen, source };
        let port = TcpListener::bind(args.listen).await.map_err(failed)?;
        let address = port.local_addr().map_err(failed)?;
        let tls = match (&args.tls_dir, &args.tls_cert, &args.tls_key) {
            (Some(folder), ..) => Some(Tls::of_house(folder, &Names::here(address))?),
            (None, Some(certificate), Some(key)) => Some(Tls::given(certificate, key)?),
            // The options allow neither of them alone.
            (None, ..) => None,
        };
        let (socket, socket_file) = match &args.socket {
            Some(path) => Some(socket::listen(path).await?).unzip(),
            None => (None, None),
        };
        Ok(Self { address, port, tls, socket, socket_file })
    }

    /// Where clients find it: for the announce file.
    pub(crate) fn announcement(&self) -> serde_json::Value {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let mut announced = serde_json::json!({ "address": format!("{scheme}://{}", self.address) });
        if let Some(file) = &self.socket_file {
            announced["socket"] = file.path().display().to_string().into();
        }
        if let Some(tls) = &self.tls {
            announced["fingerprint"] = tls.fingerprint.clone().into();
        }
        announced
    }

    pub(crate) fn speaks_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// Where a browser on this box finds the page.
    pub(crate) fn page_address(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        match self.address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => format!("{scheme}://127.0.0.1:{}", self.address.port()),
            IpAddr::V6(ip) if ip.is_unspecified() => format!("{scheme}://[::1]:{}", self.address.port()),
            _ => format!("{scheme}://{}", self.address),
        }
    }

    /// Says how others come here. The fingerprint is no secret: it is what they compare.
    pub(crate) fn say_how_to_join(&self) {
        let Some(tls) = &self.tls else { return };
        let ip = self.address.ip();
        let host = if ip.is_unspecified() { hostname() } else { ip.to_string() };
        let host = if ip.is_ipv6() && !ip.is_unspecified() { format!("[{host}]") } else { host };
        tracing::info!("join with: tandem join https://{host}:{} {}", self.address.port(), tls.fingerprint);
    }

    /// What looks after the certificate, until `closing`.
    pub(crate) fn watch_certificate(&self, closing: CancellationToken) -> impl Future<Output = ()> + use<> {
        let tls = self.tls.clone();
        async move {
            match tls {
                Some(tls) => tls.watch(closing).await,
                None => closing.cancelled().await,
            }
        }
    }

    /// The connections, and the socket's file, which is to be kept as long.
    pub(crate) fn into_incoming(self) -> (Incoming, Option<SocketFile>) {
        let files = getrlimit(Resource::Nofile).current;
        let acceptor = self.tls.as_ref().map(Tls::acceptor);
        (Incoming::new(self.port, acceptor, self.socket, files), self.socket_file)
    }
}
