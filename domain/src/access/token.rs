//! The form of a token: `tdm_<role's letter><id>_<256 bits>_<checksum>`, 64 characters.
//!
//! The id finds the row. The checksum tells a mistyped or cut one from a wrong one, to scanners of repositories as well.
//! What is stored is the SHA-256 of the whole: with 256 random bits there is nothing to stretch.

use std::fmt;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};

use super::role::TokenRole;

/// Of the id, the secret and the checksum. All are of one alphabet, so `_` may stand within: places are fixed.
const ID: usize = 8;
const SECRET: usize = 43;
const CHECKSUM: usize = 6;
/// Bytes that a token is made of: 6 of its id, 32 of its secret.
pub const RANDOM_BYTES: usize = 38;
/// Characters of a token.
pub const LENGTH: usize = "tdm_".len() + 1 + ID + 1 + SECRET + 1 + CHECKSUM;

/// Names a token; no secret.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TokenId(String);

impl TokenId {
    /// As it is stored, or typed by a person.
    ///
    /// # Errors
    /// Says what is expected.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.len() == ID && text.bytes().all(is_of_alphabet) {
            return Ok(Self(text.to_owned()));
        }
        Err(format!("an id of a token has {ID} characters; `tandem token list` shows them"))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A token whose form is right. Whether it is good, only [`judge`](super::judge) can say.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    text: String,
}

/// Never shows the secret.
impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({})", self.id())
    }
}

/// Why a text is no token. Says nothing of the text itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    #[error("it has {0} characters where a token has {LENGTH}: it was cut, or something stands before or behind it")]
    Length(usize),
    #[error("it does not begin as a token does, with `tdm_`")]
    Form,
    #[error("its checksum is wrong: a character of it was changed")]
    Checksum,
}

impl Token {
    /// A new one, of `random` bytes.
    pub fn new(role: TokenRole, random: &[u8; RANDOM_BYTES]) -> Self {
        let (id, secret) = random.split_at(RANDOM_BYTES - 32);
        let (id, secret) = (BASE64_URL_SAFE_NO_PAD.encode(id), BASE64_URL_SAFE_NO_PAD.encode(secret));
        let text = format!("tdm_{}{id}_{secret}_", role.letter());
        Self { text: format!("{text}{}", checksum(&text)) }
    }

    /// # Errors
    /// What is wrong with its form.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        if !text.starts_with("tdm_") || !text.bytes().all(is_of_alphabet) {
            return Err(Malformed::Form);
        }
        if text.len() != LENGTH {
            return Err(Malformed::Length(text.len()));
        }
        let (body, sum) = text.split_at(LENGTH - CHECKSUM);
        if checksum(body) != sum {
            return Err(Malformed::Checksum);
        }
        Ok(Self { text: text.to_owned() })
    }

    pub fn id(&self) -> TokenId {
        TokenId(self.text["tdm_".len() + 1..][..ID].to_owned())
    }

    /// What is stored of it.
    pub fn hash(&self) -> [u8; 32] {
        Sha256::digest(&self.text).into()
    }

    /// The token itself, to be shown once or sent.
    pub fn reveal(&self) -> &str {
        &self.text
    }
}

fn is_of_alphabet(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

fn checksum(text: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(crc32fast::hash(text.as_bytes()).to_be_bytes())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{super::role::PersonRole, *};

    fn token(byte: u8) -> Token {
        Token::new(TokenRole::Person(PersonRole::Submitter), &[byte; RANDOM_BYTES])
    }

    #[test]
    fn a_token_is_read_as_it_was_made() {
        for role in TokenRole::ALL {
            let made = Token::new(role, &[0xff; RANDOM_BYTES]);
            assert_eq!(made.reveal().len(), LENGTH);
            assert_eq!(Token::parse(made.reveal()).unwrap(), made);
            assert_eq!(made.reveal().chars().nth(4), Some(role.letter()));
            assert_eq!(TokenId::parse(made.id().as_str()).unwrap(), made.id());
        }
        assert_ne!(token(1).hash(), token(2).hash());
    }

    #[test]
    fn one_that_was_cut_or_mistyped_is_told_from_one_that_is_none() {
        let good = token(7).reveal().to_owned();
        assert_eq!(Token::parse(&good[..LENGTH - 1]), Err(Malformed::Length(LENGTH - 1)));
        assert_eq!(Token::parse(&format!("{good}x")), Err(Malformed::Length(LENGTH + 1)));
        for none in ["", "s3cret", "Bearer x", &format!("{good}\n"), &format!(" {good}")] {
            assert_eq!(Token::parse(none), Err(Malformed::Form), "{none:?}");
        }
        for at in 4..LENGTH {
            let mut other = good.clone().into_bytes();
            other[at] = if other[at] == b'A' { b'B' } else { b'A' };
            assert_eq!(Token::parse(std::str::from_utf8(&other).unwrap()), Err(Malformed::Checksum), "at {at}");
        }
    }

    #[test]
    fn nothing_that_is_printed_holds_the_secret() {
        let token = token(9);
        let secret = &token.reveal()[14..14 + SECRET];
        assert!(!format!("{token:?} {}", token.id()).contains(secret));
        for error in [Malformed::Length(3), Malformed::Form, Malformed::Checksum] {
            assert!(!error.to_string().contains(secret));
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in any::<String>()) {
            let _ = Token::parse(&text);
            let _ = TokenId::parse(&text);
        }
    }
}
