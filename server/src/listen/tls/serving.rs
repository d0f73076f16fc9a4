//! The certificate that handshakes use at the moment, and the files that it is read from again.

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use rustls::{
    ServerConfig,
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use sha2::{Digest, Sha256};
use tokio::{
    task::spawn_blocking,
    time::{MissedTickBehavior, interval},
};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::{
    error::TlsError,
    house,
    names::Names,
    pair::{self, PROVIDER, fingerprint},
};

/// How often given files are looked at.
const LOOK: Duration = Duration::from_secs(5);

/// How this coordinator speaks TLS.
#[derive(Clone)]
pub(crate) struct Tls {
    current: Arc<Current>,
    config: Arc<ServerConfig>,
    /// What everybody compares who joins. No secret.
    pub(crate) fingerprint: String,
    /// Looked at for new ones.
    given: Option<Given>,
}

/// A certificate that people look after.
#[derive(Clone)]
struct Given {
    certificate: PathBuf,
    key: PathBuf,
    /// A digest of what both held at the last look.
    seen: Vec<u8>,
}

#[derive(Debug)]
struct Current(RwLock<Arc<CertifiedKey>>);

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.read().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

impl Tls {
    /// With the house's folder; what is not there is made.
    ///
    /// # Errors
    /// Says what is wrong in the folder, and what to do.
    pub(crate) fn of_house(folder: &Path, names: &Names) -> Result<Self, TlsError> {
        let (key, fingerprint) = house::open(folder, names)?;
        Self::new(key, fingerprint, None)
    }

    /// With a certificate that others made.
    ///
    /// # Errors
    /// Where it cannot be used: others can read the key, it is of another certificate, or that has ended.
    pub(crate) fn given(certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        let mut given = Given { certificate: certificate.to_owned(), key: key.to_owned(), seen: Vec::new() };
        let pair = given.look().unwrap_or_else(|| pair::read(certificate, key))?;
        let fingerprint = pair.cert.last().map(fingerprint).unwrap_or_default();
        Self::new(pair, fingerprint, Some(given))
    }

    fn new(key: CertifiedKey, fingerprint: String, given: Option<Given>) -> Result<Self, TlsError> {
        let current = Arc::new(Current(RwLock::new(Arc::new(key))));
        // TLS 1.3 and 1.2.
        let mut config = ServerConfig::builder_with_provider(PROVIDER.clone())
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(current.clone());
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self { current, config: Arc::new(config), fingerprint, given })
    }

    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.config.clone())
    }

    /// Takes given files again whenever they have changed, until `closing`.
    pub(crate) async fn watch(self, closing: CancellationToken) {
        self.watch_every(LOOK, closing).await;
    }

    pub(in crate::listen) async fn watch_every(self, pause: Duration, closing: CancellationToken) {
        let Some(mut given) = self.given.clone() else { return closing.cancelled().await };
        let mut pauses = interval(pause);
        pauses.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let look = async {
                pauses.tick().await;
                let mut given = given.clone();
                // A file system that hangs keeps this thread, and no second one is started.
                spawn_blocking(move || given.look().map(|pair| (given, pair))).await
            };
            let looked = tokio::select! {
                looked = look => looked,
                () = closing.cancelled() => return,
            };
            // `None`: as before, or a panic, which the log has.
            let Ok(Some((now, pair))) = looked else { continue };
            given = now;
            match pair {
                Ok(key) => self.take(key),
                Err(error) => tracing::error!(%error, "the new certificate is wrong; the old one stays in use"),
            }
        }
    }

    fn take(&self, key: CertifiedKey) {
        let fingerprint = key.cert.last().map(fingerprint).unwrap_or_default();
        let ends = key.cert.first().and_then(|leaf| pair::ends_at(leaf).ok());
        *self.current.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(key);
        if fingerprint == self.fingerprint {
            tracing::info!(ends = ?ends, "took the new certificate");
        } else {
            tracing::warn!(ends = ?ends, fingerprint, "took the new certificate; who joined with another fingerprint must join again");
        }
    }
}

impl Given {
    /// The pair, if the files have changed.
    fn look(&mut self) -> Option<Result<CertifiedKey, TlsError>> {
        let mut digest = Sha256::new();
        for file in [&self.certificate, &self.key] {
            let mut text = Vec::new();
            // One that cannot be read is a change, too, and told as such.
            let _ = File::open(file).and_then(|file| file.take(pair::LONGEST).read_to_end(&mut text));
            digest.update(text);
            digest.update([0]);
        }
        let now = digest.finalize().to_vec();
        let has_changed = now != std::mem::replace(&mut self.seen, now.clone());
        has_changed.then(|| pair::read(&self.certificate, &self.key))
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs::{self, Permissions},
        os::unix::fs::PermissionsExt,
    };

    use super::*;

    #[test]
    fn a_change_is_looked_at_once_whether_right_or_wrong() {
        let folder = tempfile::tempdir().unwrap();
        let [certificate, key] = ["pem", "key"].map(|name| folder.path().join(name));
        let write = |file: &Path, text: &str| {
            fs::write(file, text).unwrap();
            fs::set_permissions(file, Permissions::from_mode(0o600)).unwrap();
        };
        let make = || {
            let key = rcgen::KeyPair::generate().unwrap();
            let params = rcgen::CertificateParams::new(vec!["box".to_owned()]).unwrap();
            (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
        };
        let [(first, first_key), (second, second_key)] = [make(), make()];
        write(&certificate, &first);
        write(&key, &first_key);
        let mut given = Tls::given(&certificate, &key).unwrap().given.unwrap();
        assert!(given.look().is_none(), "as at the start");
        write(&key, &second_key);
        assert!(matches!(given.look(), Some(Err(TlsError::Mismatch { .. }))));
        assert!(given.look().is_none(), "told once");
        write(&certificate, &second);
        assert!(matches!(given.look(), Some(Ok(_))));
        fs::remove_file(&key).unwrap();
        assert!(matches!(given.look(), Some(Err(TlsError::Private(_)))));
        assert!(given.look().is_none());
    }
}
