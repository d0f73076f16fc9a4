//! A certificate with its chain, and the private key that belongs to it, from files.

use std::{
    fs::File,
    io::Read,
    path::Path,
    sync::{Arc, LazyLock},
};

use chrono::{DateTime, Utc};
use rustls::{
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    sign::CertifiedKey,
};
use sha2::{Digest, Sha256};
use x509_parser::{certificate::X509Certificate, prelude::FromDer};

use super::error::TlsError;
use crate::private_file;

/// Longer than any chain.
pub(super) const LONGEST: u64 = 256 * 1024;

pub(super) static PROVIDER: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| Arc::new(ring::default_provider()));

/// Reads both; they fit each other, and the certificate has not ended.
pub(super) fn read(certificate: &Path, key: &Path) -> Result<CertifiedKey, TlsError> {
    let chain = certificates(certificate)?;
    let text = private_file::read(key)?;
    // The parser's own words could hold a piece of the file.
    let parsed = PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|_| TlsError::Parse {
        file: key.to_owned(),
        expected: "private key",
        problem: "neither PKCS #8, PKCS #1 nor SEC1 without a password".to_owned(),
    })?;
    let at = ends_at(&chain[0]).map_err(|problem| parse_error(certificate, problem))?;
    if at <= Utc::now() {
        return Err(TlsError::Expired { file: certificate.to_owned(), at });
    }
    CertifiedKey::from_der(chain, parsed, &PROVIDER).map_err(|error| TlsError::Mismatch {
        certificate: certificate.to_owned(),
        key: key.to_owned(),
        problem: error.to_string(),
    })
}

/// At least one.
pub(super) fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let failed = |source| TlsError::Read { file: file.to_owned(), source };
    let mut text = Vec::new();
    File::open(file).and_then(|open| open.take(LONGEST).read_to_end(&mut text)).map_err(failed)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match chain {
        Ok(chain) if chain.is_empty() => Err(parse_error(file, "it holds none".to_owned())),
        Ok(chain) => Ok(chain),
        Err(error) => Err(parse_error(file, error.to_string())),
    }
}

fn parse_error(file: &Path, problem: String) -> TlsError {
    TlsError::Parse { file: file.to_owned(), expected: "certificate", problem }
}

/// When a certificate ends.
pub(super) fn ends_at(certificate: &CertificateDer<'_>) -> Result<DateTime<Utc>, String> {
    let (_, parsed) = X509Certificate::from_der(certificate).map_err(|error| error.to_string())?;
    DateTime::from_timestamp(parsed.validity().not_after.timestamp(), 0).ok_or_else(|| "its end is no date".to_owned())
}

/// What people compare: SHA-256, in lower hex.
pub(super) fn fingerprint(certificate: &CertificateDer<'_>) -> String {
    format!("{:x}", Sha256::digest(certificate))
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_wrong_pair_is_refused_with_what_is_wrong_and_never_with_the_key() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let write = |name: &str, text: &str| {
            fs::write(path(name), text).unwrap();
            fs::set_permissions(path(name), Permissions::from_mode(0o600)).unwrap();
        };
        let make = |before: bool| {
            let mut params = rcgen::CertificateParams::new(vec!["box".to_owned()]).unwrap();
            if before {
                params.not_after = rcgen::date_time_ymd(2020, 1, 1);
            }
            let key = rcgen::KeyPair::generate().unwrap();
            (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
        };
        let ((good, key), (old, old_key)) = (make(false), make(true));
        for (name, text) in [("good", &good), ("key", &key), ("old", &old), ("old.key", &old_key)] {
            write(name, text);
        }
        write("empty", "");
        write("torn", &key[..key.len() / 2]);
        assert!(read(&path("good"), &path("key")).is_ok());
        for (certificate, key, words) in [
            ("good", "old.key", "does not fit"),
            ("old", "old.key", "ended at 2020-01-01"),
            ("empty", "key", "it holds none"),
            ("key", "key", "it holds none"),
            ("absent", "key", "cannot read"),
            ("good", "torn", "holds no private key"),
            ("good", "empty", "holds no private key"),
        ] {
            let error = read(&path(certificate), &path(key)).unwrap_err().to_string();
            assert!(error.contains(words), "{certificate} with {key}: {error}");
            assert!(!error.contains("MIG"), "{error}");
        }
        fs::set_permissions(path("key"), Permissions::from_mode(0o640)).unwrap();
        assert!(read(&path("good"), &path("key")).unwrap_err().to_string().contains("chmod 600"));
    }
}
