//! Whether a signature is of a key.

use ring::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};

use super::{envelope::pae, key::PublicKey};

/// Whether `signature` (ASN.1 in DER) is of `key` over the payload of in-toto.
pub fn verifies(key: &PublicKey, payload: &[u8], signature: &[u8]) -> bool {
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, key.point()).verify(&pae(payload), signature).is_ok()
}
