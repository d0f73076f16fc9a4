//! Whom to trust: one root certificate, and the name that the coordinators' certificates are for.

use base64::{Engine, prelude::BASE64_STANDARD};
use tokio_rustls::rustls::pki_types::{CertificateDer, pem::PemObject};

use crate::fingerprint::Fingerprint;

/// The name in every certificate that a house's own authority makes. It does not depend on what the machine is called, so
/// tunnels and renamed hosts work.
pub const OWN_NAME: &str = "tandem.internal";

/// The coordinators of one installation, as far as TLS knows them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct House {
    /// The only root, as PEM.
    ca: String,
    fingerprint: Fingerprint,
    server_name: String,
}

impl House {
    pub(crate) fn new(root: &CertificateDer<'_>, server_name: &str) -> Self {
        Self { ca: pem(root), fingerprint: Fingerprint::of(root), server_name: server_name.to_owned() }
    }

    /// As it was written down.
    ///
    /// # Errors
    /// Where the certificate is damaged, or not the one of this fingerprint.
    pub fn read(ca: &str, fingerprint: &str, server_name: &str) -> Result<Self, String> {
        let fingerprint: Fingerprint = fingerprint.parse()?;
        let root = CertificateDer::from_pem_slice(ca.as_bytes())
            .map_err(|error| format!("`ca` is no certificate: {error}"))?;
        let house = Self::new(&root, server_name);
        if house.fingerprint != fingerprint {
            return Err(format!("`ca` is not the certificate of `fingerprint`, but of {}", house.fingerprint));
        }
        Ok(house)
    }

    pub fn ca(&self) -> &str {
        &self.ca
    }

    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    pub fn server_name(&self) -> &str {
        &self.server_name
    }
}

fn pem(der: &[u8]) -> String {
    /// Characters of a line, by RFC 7468.
    const LINE: usize = 64;
    let text = BASE64_STANDARD.encode(der);
    let lines = text.as_bytes().chunks(LINE).map(|line| format!("{}\n", String::from_utf8_lossy(line)));
    format!("-----BEGIN CERTIFICATE-----\n{}-----END CERTIFICATE-----\n", lines.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_house::TestHouse;

    #[test]
    fn is_read_as_it_was_written() {
        let root = TestHouse::new().root;
        let house = House::new(&root, OWN_NAME);
        let (ca, fingerprint) = (house.ca(), house.fingerprint().to_string());
        assert_eq!(House::read(ca, &fingerprint, OWN_NAME), Ok(house.clone()));
        let other = House::new(&TestHouse::new().root, OWN_NAME).fingerprint().to_string();
        assert!(House::read(ca, &other, OWN_NAME).unwrap_err().contains(&fingerprint));
        assert!(House::read("", &fingerprint, OWN_NAME).unwrap_err().contains("no certificate"));
        assert!(House::read(ca, "", OWN_NAME).is_err());
    }
}
