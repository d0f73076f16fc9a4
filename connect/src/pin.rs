//! From what a port presents and a fingerprint that somebody said, to a house to trust.

use std::sync::Arc;

use tokio_rustls::rustls::{
    RootCertStore,
    client::{WebPkiServerVerifier, danger::ServerCertVerifier},
    crypto::ring,
    pki_types::{CertificateDer, ServerName, UnixTime},
};

use crate::{
    address::HostPort,
    fingerprint::Fingerprint,
    house::{House, OWN_NAME},
};

/// Why what a port presents is not trusted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Untrusted {
    #[error(
        "{at} is not who you were told: expected the fingerprint\n  {expected}\nbut it shows\n  {shown}\nNothing was \
         sent. Compare with what the coordinator logs when it starts; where that is right, something else answers here"
    )]
    Other { at: HostPort, expected: Fingerprint, shown: Fingerprint },
    #[error("the certificate of {at} does not hold under the one of that fingerprint: {why}. Nothing was sent")]
    Invalid { at: HostPort, why: String },
    #[error("{at} presents no certificate")]
    Nothing { at: HostPort },
}

/// The house whose root has this fingerprint, if `at` presents it, and its own certificate holds under it.
///
/// # Errors
/// Why it is not trusted.
pub fn pin(at: &HostPort, chain: &[CertificateDer<'_>], fingerprint: Fingerprint) -> Result<House, Untrusted> {
    let root = chain.iter().find(|one| Fingerprint::of(one) == fingerprint);
    let root = root.ok_or_else(|| match root_of(chain) {
        Some(shown) => Untrusted::Other { at: at.clone(), expected: fingerprint, shown },
        None => Untrusted::Nothing { at: at.clone() },
    })?;
    // A house's own certificates have a name of their own; one that was bought has the host's.
    let own = verify(chain, root, OWN_NAME).map(|()| OWN_NAME);
    let name = own.or_else(|own| match verify(chain, root, &at.host) {
        Ok(()) => Ok(at.host.as_str()),
        Err(_) => Err(Untrusted::Invalid { at: at.clone(), why: own }),
    })?;
    Ok(House::new(root, name))
}

/// The fingerprint of the last of a chain: what a person compares who has none.
pub fn root_of(chain: &[CertificateDer<'_>]) -> Option<Fingerprint> {
    chain.last().map(|root| Fingerprint::of(root))
}

fn verify(chain: &[CertificateDer<'_>], root: &CertificateDer<'_>, name: &str) -> Result<(), String> {
    let said = |error: &dyn std::fmt::Display| error.to_string();
    let Some((leaf, between)) = chain.split_first() else { return Err("there is none".to_owned()) };
    let mut roots = RootCertStore::empty();
    roots.add(root.clone().into_owned()).map_err(|error| said(&error))?;
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::new(ring::default_provider()));
    let verifier = verifier.build().map_err(|error| said(&error))?;
    let name = ServerName::try_from(name).map_err(|error| said(&error))?;
    verifier.verify_server_cert(leaf, between, &name, &[], UnixTime::now()).map(drop).map_err(|error| said(&error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_house::TestHouse;

    fn at(host: &str) -> HostPort {
        HostPort { host: host.to_owned(), port: 7077 }
    }

    #[test]
    fn the_root_of_that_fingerprint_is_the_only_one() {
        let house = TestHouse::new();
        let chain = [house.leaf.clone(), house.root.clone()];
        let pinned = pin(&at("10.0.0.7"), &chain, Fingerprint::of(&house.root)).unwrap();
        assert_eq!((pinned.fingerprint(), pinned.server_name()), (Fingerprint::of(&house.root), OWN_NAME));
    }

    #[test]
    fn another_is_refused_with_both() {
        let (house, other) = (TestHouse::new(), TestHouse::new());
        let expected = Fingerprint::of(&other.root);
        let refused = pin(&at("box"), &[house.leaf.clone(), house.root.clone()], expected).unwrap_err().to_string();
        for part in [expected, Fingerprint::of(&house.root)] {
            assert!(refused.contains(&part.to_string()), "{refused}");
        }
        assert!(refused.contains("Nothing was sent"), "{refused}");
        assert_eq!(pin(&at("box"), &[], expected), Err(Untrusted::Nothing { at: at("box") }));
    }

    #[test]
    fn a_right_root_beside_a_certificate_of_somebody_else_is_refused() {
        // Everybody can present the root: it is no secret.
        let (house, other) = (TestHouse::new(), TestHouse::new());
        let chain = [other.leaf.clone(), house.root.clone()];
        let refused = pin(&at("box"), &chain, Fingerprint::of(&house.root)).unwrap_err();
        assert!(matches!(refused, Untrusted::Invalid { .. }), "{refused}");
    }

    #[test]
    fn a_certificate_that_was_given_holds_for_its_host_alone() {
        let house = TestHouse::of_host("box.example.org");
        let chain = [house.leaf.clone(), house.root.clone()];
        let fingerprint = Fingerprint::of(&house.root);
        assert_eq!(pin(&at("box.example.org"), &chain, fingerprint).unwrap().server_name(), "box.example.org");
        assert!(pin(&at("other.example.org"), &chain, fingerprint).is_err());
    }
}
