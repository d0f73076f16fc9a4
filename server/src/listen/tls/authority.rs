//! The house's certificate authority: made once, signs the certificates of its coordinators.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PublicKeyData, date_time_ymd,
};
use rustls::pki_types::CertificateDer;
use sha2::{Digest, Sha256};
use x509_parser::{certificate::X509Certificate, prelude::FromDer};

use super::names::{INTERNAL, Names};

const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);
/// A clock that is a year behind takes certificates that were made today.
const BEFORE: Duration = YEAR.saturating_mul(2);
const AUTHORITY: Duration = YEAR.saturating_mul(20);
/// Longer than a coordinator runs without a start.
const SERVER: Duration = YEAR.saturating_mul(5);

/// Knows the key.
pub(super) struct Authority {
    issuer: Issuer<'static, KeyPair>,
}

/// A new certificate and its key, as files have them.
pub(super) struct Made {
    pub(super) certificate: String,
    pub(super) key: String,
}

impl Authority {
    /// The key of a new authority, as its file has it.
    pub(super) fn new_key() -> Result<String, rcgen::Error> {
        Ok(KeyPair::generate()?.serialize_pem())
    }

    /// The certificate of the authority that has this key, as its file has it.
    pub(super) fn certificate(key: &str) -> Result<String, rcgen::Error> {
        let key = KeyPair::from_pem(key)?;
        let mut params = valid_for(AUTHORITY)?;
        // Tools tell authorities apart by their names.
        let id = format!("{:x}", Sha256::digest(key.subject_public_key_info()));
        params.distinguished_name.push(DnType::CommonName, format!("Tandem house {}", &id[..8]));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        Ok(params.self_signed(&key)?.pem())
    }

    /// # Errors
    /// Where the key cannot be read, or is another certificate's.
    pub(super) fn open(certificate: &CertificateDer<'static>, key: &str) -> Result<Self, String> {
        // Without the words of the parser, which could hold a piece of the key.
        let key = KeyPair::from_pem(key).map_err(|_| "it holds no key that signs certificates".to_owned())?;
        let (_, parsed) = X509Certificate::from_der(certificate).map_err(|error| error.to_string())?;
        if parsed.public_key().raw != key.subject_public_key_info() {
            return Err("it is not the key of the certificate ca.pem".to_owned());
        }
        let issuer = Issuer::from_ca_cert_der(certificate, key).map_err(|error| error.to_string())?;
        Ok(Self { issuer })
    }

    /// A new key and a certificate for it, without the authority's own.
    pub(super) fn issue(&self, names: &Names) -> Result<Made, rcgen::Error> {
        let key = KeyPair::generate()?;
        let mut params = valid_for(SERVER)?;
        params.subject_alt_names = CertificateParams::new(names.all())?.subject_alt_names;
        params.distinguished_name.push(DnType::CommonName, INTERNAL);
        // rustls takes no authority's certificate as a server's.
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let certificate = params.signed_by(&key, &self.issuer)?.pem();
        Ok(Made { certificate, key: key.serialize_pem() })
    }
}

fn valid_for(time: Duration) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    // A clock that stands before 1970 is no clock.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let epoch = date_time_ymd(1970, 1, 1);
    params.not_before = epoch + now.saturating_sub(BEFORE);
    params.not_after = epoch + (now + time);
    Ok(params)
}

#[cfg(test)]
mod tests {
    use rustls::pki_types::pem::PemObject;

    use super::*;

    #[test]
    fn the_authority_of_a_key_always_has_one_name_and_signs_only_with_its_own_key() {
        let key = Authority::new_key().unwrap();
        let certificate = CertificateDer::from_pem_slice(Authority::certificate(&key).unwrap().as_bytes()).unwrap();
        let subject = |der: &CertificateDer<'_>| X509Certificate::from_der(der).unwrap().1.subject().to_string();
        let again = CertificateDer::from_pem_slice(Authority::certificate(&key).unwrap().as_bytes()).unwrap();
        assert_eq!(subject(&certificate), subject(&again));
        assert!(Authority::open(&certificate, &key).is_ok());
        let other = Authority::new_key().unwrap();
        assert!(Authority::open(&certificate, &other).err().unwrap().contains("not the key"));
        assert!(Authority::open(&certificate, "nonsense").err().unwrap().contains("no key"));

        let (_, parsed) = X509Certificate::from_der(&certificate).unwrap();
        let day = 24 * 3600;
        let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap();
        let (from, until) = (parsed.validity().not_before.timestamp(), parsed.validity().not_after.timestamp());
        assert!((now - from) / day >= 729 && (until - now) / day >= 19 * 365, "{from} to {until}");
        assert!(parsed.is_ca());
    }
}
