//! Real clients at a real port: those that speak right, and those that do not.

mod bounds;
mod files;
mod words;

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use rustls::{ClientConfig, RootCertStore, pki_types::ServerName};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{
    incoming::Incoming,
    places::Limits,
    tls::{Names, Tls},
};

/// Longer than anything here takes.
const LIMIT: Duration = Duration::from_secs(20);
const MANY: Limits = Limits { all: 100, address: 100, on_the_box: 100 };

/// A house in a folder, and how it speaks TLS.
struct House {
    folder: TempDir,
    tls: Tls,
}

impl House {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let names = Names::of(&[]).unwrap();
        let tls = Tls::of_house(&folder.path().join("tls"), &names).unwrap();
        Self { folder, tls }
    }

    /// A port of it, and where it is.
    async fn incoming(&self, limits: Limits, patience: Duration) -> (Incoming, SocketAddr) {
        let (listener, address) = port().await;
        (Incoming::with(listener, Some(self.tls.acceptor()), None, limits, patience), address)
    }

    async fn connect(&self, address: SocketAddr) -> std::io::Result<TlsStream<TcpStream>> {
        connect(&self.folder.path().join("tls/ca.pem"), address).await
    }
}

async fn port() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// A client that trusts what is in `roots`.
async fn connect(roots: &Path, address: SocketAddr) -> std::io::Result<TlsStream<TcpStream>> {
    use rustls::pki_types::{CertificateDer, pem::PemObject};

    let mut store = RootCertStore::empty();
    store.add(CertificateDer::from_pem_file(roots).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let mut config = config.with_root_certificates(store).with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let name = ServerName::try_from("tandem.internal").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, TcpStream::connect(address).await.unwrap()).await
}
