//! A connection to one coordinator, checked as its kind of address demands, and the header that carries a token there.

use std::time::Duration;

use tandem_domain::access::token::Token;
use tonic::{
    metadata::{Ascii, MetadataValue},
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Error},
};

use crate::{
    address::Address,
    house::House,
    socket::{MayServe, SocketConnector},
};

/// How much of a stream may be under way to this side before it has been read.
const WINDOW_BYTES: u32 = 4 << 20;

#[derive(Clone, Copy, Debug)]
pub struct Tuning {
    pub connect_within: Duration,
    /// A peer that vanished silently is noticed after about twice this. Without it, never.
    pub ping_every: Option<Duration>,
}

/// How one coordinator is reached.
#[derive(Clone)]
pub struct Dialer {
    endpoint: Endpoint,
    socket: Option<SocketConnector>,
}

impl Dialer {
    /// Connects to nobody yet. `may_serve` judges who serves a socket.
    ///
    /// # Errors
    /// Where nobody is trusted at this address.
    pub fn new(address: &Address, house: Option<&House>, tuning: Tuning, may_serve: MayServe) -> Result<Self, String> {
        let unusable = |error: Error| format!("cannot use the address {address}: {}", root_cause(&error));
        // A socket has no host, but a request has to name one.
        let url = if address.socket().is_some() { "http://localhost".to_owned() } else { address.to_string() };
        let mut endpoint = Endpoint::from_shared(url).map_err(unusable)?.connect_timeout(tuning.connect_within);
        endpoint = endpoint.tcp_nodelay(true);
        // HTTP/2's own 64 KiB would have a file wait for the other side after each piece.
        endpoint = endpoint.initial_stream_window_size(WINDOW_BYTES).initial_connection_window_size(2 * WINDOW_BYTES);
        if let Some(every) = tuning.ping_every {
            endpoint = endpoint.http2_keep_alive_interval(every).keep_alive_timeout(every);
        }
        if let Address::Https(_) = address {
            let house = house.ok_or_else(|| nobody_trusted(address))?;
            let root = Certificate::from_pem(house.ca());
            let tls = ClientTlsConfig::new().ca_certificate(root).domain_name(house.server_name());
            endpoint = endpoint.tls_config(tls.timeout(tuning.connect_within)).map_err(unusable)?;
        }
        let socket = address.socket().map(|path| SocketConnector::new(path.to_owned(), may_serve));
        Ok(Self { endpoint, socket })
    }

    /// Connects when it is first used, and again when the connection is lost.
    pub fn lazily(self) -> Channel {
        match self.socket {
            Some(socket) => self.endpoint.connect_with_connector_lazy(socket),
            None => self.endpoint.connect_lazy(),
        }
    }

    /// # Errors
    /// Where it cannot be reached, or is not who it should be.
    pub async fn connect(self) -> Result<Channel, Error> {
        match self.socket {
            Some(socket) => self.endpoint.connect_with_connector(socket).await,
            None => self.endpoint.connect().await,
        }
    }
}

/// The header that carries a token to this address.
///
/// # Errors
/// Where others could read it on the way.
pub fn bearer(address: &Address, token: &Token) -> Result<MetadataValue<Ascii>, String> {
    address.check_may_carry_token()?;
    let header = format!("Bearer {}", token.reveal()).parse();
    let mut header: MetadataValue<Ascii> =
        header.map_err(|_| "the token holds characters that no token has".to_owned())?;
    header.set_sensitive(true);
    Ok(header)
}

fn nobody_trusted(address: &Address) -> String {
    format!(
        "nobody is trusted at {address} yet: join first, by `tandem join {address} FINGERPRINT`; the coordinator logs the \
         fingerprint when it starts, and its admin has it"
    )
}

fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tonic::{Status, client::Grpc};

    use super::*;
    use crate::{
        house::OWN_NAME,
        pin::pin,
        test_house::{TestHouse, serve_plain, serve_socket, token},
        words,
    };

    const TUNING: Tuning = Tuning { connect_within: Duration::from_secs(5), ping_every: None };

    async fn connected(address: &Address, house: Option<&House>, may_serve: MayServe) -> Result<(), String> {
        let channel = Dialer::new(address, house, TUNING, may_serve)?.connect().await;
        let told = |error: &(dyn std::error::Error + 'static)| {
            words::explain(address, error).unwrap_or_else(|| format!("unexplained {error:?}"))
        };
        let mut client = Grpc::new(channel.map_err(|error| told(&error))?);
        client.ready().await.map_err(|error| told(&Status::from_error(Box::new(error))))
    }

    fn anybody() -> MayServe {
        Arc::new(|_, _| Ok(()))
    }

    #[tokio::test]
    async fn only_the_pinned_house_is_spoken_to() {
        let (house, other) = (TestHouse::new(), TestHouse::new());
        let (address, _) = house.serve().await;
        let pinned = |house: &TestHouse| House::new(&house.root, OWN_NAME);
        connected(&address, Some(&pinned(&house)), anybody()).await.unwrap();
        let (address, heard) = house.serve().await;
        let refused = connected(&address, Some(&pinned(&other)), anybody()).await.unwrap_err();
        assert!(
            refused.contains("is not of the house that you joined") && refused.contains("tandem join"),
            "{refused}"
        );
        assert!(heard.await.is_err(), "the handshake failed");
        let refused = connected(&address, None, anybody()).await.unwrap_err();
        assert!(refused.contains(&format!("tandem join {address} FINGERPRINT")), "{refused}");
    }

    #[tokio::test]
    async fn a_certificate_that_was_pinned_by_its_host_holds_for_it() {
        let house = TestHouse::of_host("localhost");
        let (address, _) = house.serve().await;
        let at = crate::address::HostPort { host: "localhost".to_owned(), port: address.host_port().unwrap().port };
        let chain = [house.leaf.clone(), house.root.clone()];
        let pinned = pin(&at, &chain, crate::Fingerprint::of(&house.root)).unwrap();
        connected(&Address::Https(at), Some(&pinned), anybody()).await.unwrap();
    }

    #[tokio::test]
    async fn tls_to_a_plain_port_is_told_so() {
        let house = House::new(&TestHouse::new().root, OWN_NAME);
        let plain = serve_plain().await;
        let refused = connected(&plain, Some(&house), anybody()).await.unwrap_err();
        assert!(refused.contains("speaks plain http"), "{refused}");
    }

    #[tokio::test]
    async fn who_serves_a_socket_is_judged_before_anything_is_sent() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.sock");
        let heard = serve_socket(&path);
        let address = Address::Unix(path.clone());
        let own = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(dir.path()).unwrap());
        let judge = move |at: &std::path::Path, uid: u32| Err(format!("{} is of {}", at.display(), uid == own));
        let refused = connected(&address, None, Arc::new(judge)).await.unwrap_err();
        assert_eq!(refused, format!("{} is of true", path.display()));
        assert_eq!(heard.await.unwrap(), b"");
        let _heard = serve_socket(&path);
        connected(&address, None, anybody()).await.unwrap();
    }

    #[test]
    fn a_header_is_made_for_a_safe_address_only_and_is_not_printed() {
        let header = bearer(&"https://box:1".parse().unwrap(), &token()).unwrap();
        assert!(!format!("{header:?}").contains(token().reveal()));
        assert!(bearer(&"http://box:1".parse().unwrap(), &token()).unwrap_err().contains("plain http"));
    }
}
