//! The SHA-256 of a certificate: short enough for people to compare.

use std::{fmt, str::FromStr};

use sha2::{Digest, Sha256};

#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// Of a certificate in DER.
    pub fn of(der: &[u8]) -> Self {
        Self(Sha256::digest(der).into())
    }
}

impl FromStr for Fingerprint {
    type Err = String;

    /// Upper case and colons, as openssl prints them, are taken too.
    fn from_str(text: &str) -> Result<Self, String> {
        let mut bytes = [0; 32];
        // The text is not repeated: it may be a token in the wrong place.
        hex::decode_to_slice(text.trim().replace(':', ""), &mut bytes).map_err(|_| {
            "this is no fingerprint: expected 64 digits of 0 to 9 and a to f, as the coordinator logs them when it starts"
                .to_owned()
        })?;
        Ok(Self(bytes))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_read_as_people_and_openssl_write_it() {
        let one = Fingerprint::of(b"certificate");
        let text = one.to_string();
        let colons: Vec<String> =
            text.to_uppercase().as_bytes().chunks(2).map(|pair| String::from_utf8_lossy(pair).into()).collect();
        for written in [text.clone(), text.to_uppercase(), colons.join(":"), format!(" {text}\n")] {
            assert_eq!(written.parse(), Ok(one), "{written}");
        }
        for wrong in ["", "12", &text[1..], &format!("{text}0"), "tdm_s3cret"] {
            let error = wrong.parse::<Fingerprint>().unwrap_err();
            assert!(error.contains("64 digits") && !error.contains("s3cret"), "{error}");
        }
    }
}
