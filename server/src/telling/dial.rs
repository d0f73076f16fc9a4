//! Connections to addresses that others have chosen. What was judged is what is dialled: a name is looked up once.

use std::{
    net::{IpAddr, SocketAddr, UdpSocket},
    sync::Arc,
    time::Duration,
};

use rustls::{ClientConfig, RootCertStore, pki_types::ServerName};
use tandem_domain::telling::address::{Rules, Webhook, judge};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, lookup_host},
    sync::OnceCell,
    time::timeout,
};
use tokio_rustls::TlsConnector;
use url::Host;

const LOOK_UP: Duration = Duration::from_secs(5);
const CONNECT: Duration = Duration::from_secs(5);
const GREET: Duration = Duration::from_secs(5);
/// Addresses of one name that are tried, one after the other.
const ADDRESSES_MAX: usize = 3;

/// A connection to a receiver, encrypted or not.
pub(super) trait Line: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Line for T {}

/// Knows where connections may go, and by whose certificates receivers are known.
#[derive(Debug)]
pub(crate) struct Dialler {
    rules: Rules,
    /// The port of this coordinator.
    own_port: u16,
    tls: OnceCell<Arc<ClientConfig>>,
}

impl Dialler {
    pub(super) fn new(rules: Rules, own_port: u16) -> Self {
        Self { rules, own_port, tls: OnceCell::new() }
    }

    /// The addresses that the host stands for, if a connection may be made to each.
    ///
    /// # Errors
    /// That it is not known, or where it leads to that is refused.
    pub(super) async fn look_up(&self, hook: &Webhook) -> Result<Vec<SocketAddr>, String> {
        let found: Vec<SocketAddr> = match &hook.host {
            Host::Ipv4(ip) => vec![SocketAddr::new(IpAddr::V4(*ip), hook.port)],
            Host::Ipv6(ip) => vec![SocketAddr::new(IpAddr::V6(*ip), hook.port)],
            Host::Domain(name) => match timeout(LOOK_UP, lookup_host((name.as_str(), hook.port))).await {
                Ok(Ok(found)) => found.collect(),
                Ok(Err(error)) => return Err(format!("cannot look up {name}: {error}")),
                Err(_) => return Err(format!("cannot look up {name}: no answer within {LOOK_UP:?}")),
            },
        };
        if found.is_empty() {
            return Err(format!("{} has no address", hook.host));
        }
        for address in &found {
            // Whatever its interfaces are called: another address of this machine leads to what listens on loopback, too.
            let is_here = is_of_this_machine(address.ip());
            let rules = Rules { own: is_here.then(|| address.ip()).into_iter().collect(), ..self.rules.clone() };
            judge(&hook.host, address.ip(), is_here && address.port() == self.own_port, &rules)
                .map_err(|why| format!("refused to send to {}: {why}", hook.host))?;
        }
        Ok(found)
    }

    /// # Errors
    /// Why there is no connection.
    pub(super) async fn dial(&self, hook: &Webhook) -> Result<Box<dyn Line>, String> {
        let addresses = self.look_up(hook).await?;
        let stream = connect(&addresses).await?;
        if !hook.is_https {
            return Ok(Box::new(stream));
        }
        let name = match &hook.host {
            Host::Domain(name) => ServerName::try_from(name.clone()).map_err(|error| format!("{name}: {error}"))?,
            Host::Ipv4(ip) => ServerName::from(IpAddr::V4(*ip)),
            Host::Ipv6(ip) => ServerName::from(IpAddr::V6(*ip)),
        };
        let config = self.tls.get_or_try_init(read_roots).await?;
        match timeout(GREET, TlsConnector::from(config.clone()).connect(name, stream)).await {
            Ok(Ok(stream)) => Ok(Box::new(stream)),
            Ok(Err(error)) => Err(format!("{} speaks no TLS that is trusted here: {error}", hook.authority())),
            Err(_) => Err(format!("{} did not finish its TLS greeting within {GREET:?}", hook.authority())),
        }
    }
}

async fn connect(addresses: &[SocketAddr]) -> Result<TcpStream, String> {
    let mut why = String::new();
    for address in addresses.iter().take(ADDRESSES_MAX) {
        why = match timeout(CONNECT, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => format!("cannot connect to {address}: {error}"),
            Err(_) => format!("cannot connect to {address}: no answer within {CONNECT:?}"),
        };
    }
    Err(why)
}

/// Whether the address is one of this machine: only those can be bound.
fn is_of_this_machine(ip: IpAddr) -> bool {
    UdpSocket::bind((ip, 0)).is_ok()
}

/// The certificates that this machine trusts. Reading them takes a moment and a disk.
async fn read_roots() -> Result<Arc<ClientConfig>, String> {
    let read = tokio::task::spawn_blocking(|| {
        let found = rustls_native_certs::load_native_certs();
        let mut roots = RootCertStore::empty();
        let (added, _) = roots.add_parsable_certificates(found.certs);
        if added == 0 {
            return Err(
                "this machine trusts no certificates, so no https://.. can be sent to: install ca-certificates, or \
                        name a file in SSL_CERT_FILE"
                    .to_owned(),
            );
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = config.map_err(|error| format!("cannot speak TLS: {error}"))?;
        Ok(Arc::new(config.with_root_certificates(roots).with_no_client_auth()))
    });
    read.await.unwrap_or_else(|error| Err(format!("cannot read this machine's certificates: {error}")))
}

#[cfg(test)]
mod tests {
    use tandem_domain::telling::address::Allowed;

    use super::*;

    fn dialler(allowed: &[&str], own_port: u16) -> Dialler {
        let allowed = allowed.iter().map(|text| Allowed::parse(text).unwrap()).collect();
        Dialler::new(Rules { allowed, ..Rules::default() }, own_port)
    }

    async fn looked_up(dialler: &Dialler, url: &str) -> Result<Vec<SocketAddr>, String> {
        dialler.look_up(&Webhook::parse(url).unwrap()).await
    }

    #[tokio::test]
    async fn a_name_that_leads_inside_is_refused_by_what_it_leads_to() {
        let refused = looked_up(&dialler(&[], 7077), "http://localhost:9/").await.unwrap_err();
        assert!(refused.contains("localhost") && refused.contains("this machine itself"), "{refused}");
        let allowed = looked_up(&dialler(&["localhost"], 7077), "http://localhost:9/").await.unwrap();
        assert!(allowed.iter().all(|address| address.ip().is_loopback()), "{allowed:?}");
        let unknown = looked_up(&dialler(&[], 7077), "http://nowhere.invalid/").await.unwrap_err();
        assert!(unknown.contains("cannot look up nowhere.invalid"), "{unknown}");
    }

    #[tokio::test]
    async fn its_own_port_is_refused_even_where_all_else_is_allowed() {
        let open = dialler(&["0.0.0.0/0", "::/0", "localhost"], 7077);
        for own in ["http://127.0.0.1:7077/", "http://localhost:7077/", "http://127.9.9.9:7077/"] {
            assert!(looked_up(&open, own).await.unwrap_err().contains("coordinator itself"), "{own}");
        }
        assert!(looked_up(&open, "http://127.0.0.1:7078/").await.is_ok());
        // Of another machine it is none of ours.
        assert!(looked_up(&open, "http://192.0.2.7:7077/").await.is_ok());
    }
}
