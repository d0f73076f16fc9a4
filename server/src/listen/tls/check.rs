//! Whether a certificate serves: as a client looks at it that has joined the house.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use rustls::{
    RootCertStore,
    client::{WebPkiServerVerifier, danger::ServerCertVerifier},
    pki_types::{CertificateDer, ServerName, UnixTime},
    sign::CertifiedKey,
};

use super::pair::PROVIDER;

/// A certificate that ends so soon is made anew at a start.
pub(super) const RENEWED_BEFORE: Duration = Duration::from_secs(30 * 24 * 3600);

/// Whether clients that trust `authority` will take the certificate for all of `names`, in this time from now.
///
/// # Errors
/// Says what they would not take.
pub(super) fn serves(
    key: &CertifiedKey,
    authority: &CertificateDer<'static>,
    names: &[String],
    ahead: Duration,
) -> Result<(), String> {
    let ([leaf, chain @ ..], Some(last)) = (key.cert.as_slice(), key.cert.last()) else {
        return Err("it is empty".to_owned());
    };
    // Who joins looks for the house in the chain.
    if last != authority {
        return Err("it does not end with the house's own, ca.pem".to_owned());
    }
    let mut roots = RootCertStore::empty();
    roots.add(authority.clone()).map_err(|error| format!("ca.pem is no authority: {error}"))?;
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), PROVIDER.clone());
    let verifier = verifier.build().map_err(|error| error.to_string())?;
    let at = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default() + ahead;
    for name in names {
        let server = ServerName::try_from(name.as_str()).map_err(|error| format!("{name}: {error}"))?;
        let verified = verifier.verify_server_cert(leaf, chain, &server, &[], UnixTime::since_unix_epoch(at));
        verified.map_err(|error| format!("as {name} it is not taken: {error}"))?;
    }
    Ok(())
}
