//! For tests: a house with a certificate authority of its own, and ports that it serves.

use std::{path::Path, sync::Arc};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tandem_domain::access::{
    PersonRole, TokenRole,
    token::{RANDOM_BYTES, Token},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, UnixListener},
    sync::oneshot,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer},
    },
};

use crate::{address::Address, house::OWN_NAME};

pub(crate) struct TestHouse {
    pub(crate) root: CertificateDer<'static>,
    pub(crate) leaf: CertificateDer<'static>,
    key: KeyPair,
}

impl TestHouse {
    pub(crate) fn new() -> Self {
        Self::of_host(OWN_NAME)
    }

    pub(crate) fn of_host(host: &str) -> Self {
        let mut root = CertificateParams::new(Vec::new()).unwrap();
        root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root = CertifiedIssuer::self_signed(root, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new(vec![host.to_owned()]).unwrap().signed_by(&key, &root).unwrap();
        Self { root: root.as_ref().der().clone(), leaf: leaf.der().clone(), key }
    }

    /// Serves one connection. What it hears after the handshake comes when that ends; nothing if the handshake fails.
    pub(crate) async fn serve(&self) -> (Address, oneshot::Receiver<Vec<u8>>) {
        let key = PrivateKeyDer::try_from(self.key.serialize_der()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth();
        let mut config = config.with_single_cert(vec![self.leaf.clone(), self.root.clone()], key).unwrap();
        config.alpn_protocols = vec![b"h2".to_vec()];
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("https://{}", listener.local_addr().unwrap()).parse().unwrap();
        let (tell, heard) = oneshot::channel();
        tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let Ok(stream) = TlsAcceptor::from(Arc::new(config)).accept(stream).await else { return };
            let _ = tell.send(all_of(stream).await);
        });
        (address, heard)
    }
}

/// A port that answers everything in plain HTTP; its address claims TLS.
pub(crate) async fn serve_plain() -> Address {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("https://{}", listener.local_addr().unwrap()).parse().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 64];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        }
    });
    address
}

/// Serves one connection on a socket, and tells what it heard.
pub(crate) fn serve_socket(path: &Path) -> oneshot::Receiver<Vec<u8>> {
    let _ = std::fs::remove_file(path);
    let listener = UnixListener::bind(path).unwrap();
    let (tell, heard) = oneshot::channel();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let _ = tell.send(all_of(stream).await);
    });
    heard
}

async fn all_of(mut stream: impl AsyncRead + Unpin) -> Vec<u8> {
    let mut heard = Vec::new();
    // How it ended is not asked.
    let _ = stream.read_to_end(&mut heard).await;
    heard
}

pub(crate) fn token() -> Token {
    Token::new(TokenRole::Person(PersonRole::Submitter), &[7; RANDOM_BYTES])
}
