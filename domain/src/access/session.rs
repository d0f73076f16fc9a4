//! The secrets of browsers: of a session, in a cookie, and of the code that `tandem web` begins one with.
//!
//! As with tokens, what is stored is the SHA-256: with 256 random bits there is nothing to stretch.

use std::fmt;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};

/// Bytes that a secret is made of.
pub const RANDOM_BYTES: usize = 32;
const LENGTH: usize = 43;

/// A secret whose form is right. Whether a session has it, only the database can say.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

/// Finds what a secret opens, and opens nothing itself.
pub type SecretHash = [u8; 32];

/// Never shows the secret.
impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl Secret {
    pub fn new(random: &[u8; RANDOM_BYTES]) -> Self {
        Self(BASE64_URL_SAFE_NO_PAD.encode(random))
    }

    /// What a browser sent.
    pub fn parse(text: &str) -> Option<Self> {
        let is_right = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        (text.len() == LENGTH && text.bytes().all(is_right)).then(|| Self(text.to_owned()))
    }

    pub fn hash(&self) -> SecretHash {
        Sha256::digest(&self.0).into()
    }

    /// The secret itself, to be sent once.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_comes_back_as_it_was_sent_and_is_never_shown() {
        let secret = Secret::new(&[7; RANDOM_BYTES]);
        assert_eq!(Secret::parse(secret.reveal()), Some(secret.clone()));
        assert_ne!(secret.hash(), Secret::new(&[8; RANDOM_BYTES]).hash());
        assert!(!format!("{secret:?}").contains(secret.reveal()));
        for wrong in ["", "a", &secret.reveal()[1..], &format!("{}\n", &secret.reveal()[1..]), &"ä".repeat(22)] {
            assert_eq!(Secret::parse(wrong), None, "{wrong:?}");
        }
    }
}
