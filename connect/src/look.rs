//! A look at the certificates of a port: one TLS handshake that believes anything and sends nothing.

use std::{io, sync::Arc, time::Duration};

use tokio::{io::AsyncWriteExt, net::TcpStream, time::timeout};
use tokio_rustls::{
    TlsConnector,
    rustls::{
        ClientConfig, DigitallySignedStruct, Error, SignatureScheme,
        client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
        pki_types::{CertificateDer, ServerName, UnixTime},
    },
};

use crate::{
    address::{Address, HostPort},
    words,
};

/// For the connection, and again for the handshake.
const WITHIN: Duration = Duration::from_secs(5);

/// The certificates that this address presents, its own first. Nothing is known of them, but that whoever is there has the
/// key of the first.
///
/// # Errors
/// Says why there are none.
pub async fn look(address: &Address) -> Result<Vec<CertificateDer<'static>>, String> {
    let Address::Https(at) = address else {
        return Err(format!("{address} shows no certificate: expected https://HOST:PORT"));
    };
    let failed = |error: io::Error| {
        words::explain(address, &error).unwrap_or_else(|| format!("cannot reach {address}: {error}. Is it running?"))
    };
    let late = |_| format!("cannot reach {address}: no answer within {} s", WITHIN.as_secs());
    let stream =
        timeout(WITHIN, TcpStream::connect((at.host.as_str(), at.port))).await.map_err(late)?.map_err(failed)?;
    timeout(WITHIN, handshake(at, stream)).await.map_err(late)?.map_err(failed)
}

async fn handshake(at: &HostPort, stream: TcpStream) -> io::Result<Vec<CertificateDer<'static>>> {
    let provider = Arc::new(ring::default_provider());
    let believer = Arc::new(Believer { provider: provider.clone() });
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .dangerous()
        .with_custom_certificate_verifier(believer)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let name = ServerName::try_from(at.host.clone()).map_err(io::Error::other)?;
    let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
    let chain = stream.get_ref().1.peer_certificates().unwrap_or_default().iter().map(|one| one.clone().into_owned());
    let chain = chain.collect();
    // A word of farewell, no more; whether it is heard does not matter.
    let _ = stream.shutdown().await;
    Ok(chain)
}

/// Believes every certificate. What is verified is that the other side has its key.
#[derive(Debug)]
struct Believer {
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Believer {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_house::{TestHouse, serve_plain};

    #[tokio::test]
    async fn all_that_is_presented_comes_back_and_nothing_was_sent() {
        let house = TestHouse::new();
        let (address, heard) = house.serve().await;
        let chain = look(&address).await.unwrap();
        assert_eq!(chain, [house.leaf.clone(), house.root.clone()]);
        assert_eq!(heard.await.unwrap(), b"", "after the handshake");
    }

    #[tokio::test]
    async fn a_port_without_tls_is_told_from_one_where_nobody_is() {
        let plain = serve_plain().await;
        let error = look(&plain).await.unwrap_err();
        assert!(error.contains("speaks plain http") && error.contains("use http://"), "{error}");
        let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let error = look(&format!("https://{nobody}").parse().unwrap()).await.unwrap_err();
        assert!(error.contains("Is it running?"), "{error}");
        assert!(look(&"http://127.0.0.1:1".parse().unwrap()).await.is_err());
    }
}
