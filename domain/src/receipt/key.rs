//! The public half of the key that signs receipts: ECDSA on P-256.

use base64::{Engine, engine::general_purpose::STANDARD};

use super::statement::sha256;

const BEGIN: &str = "-----BEGIN PUBLIC KEY-----";
const END: &str = "-----END PUBLIC KEY-----";
/// What stands before the point in every SubjectPublicKeyInfo of P-256 (RFC 5480): the algorithm, the curve, a bit string of 66
/// bytes.
const P256: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
    0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];
/// An uncompressed point: 4, x, y.
const POINT_BYTES: usize = 65;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    /// SubjectPublicKeyInfo in DER.
    spki: Vec<u8>,
}

/// Why a text is no such key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    #[error("it holds no public key in PEM (`{BEGIN}`)")]
    Pem,
    #[error("it is no public key of ECDSA on P-256, which signs receipts")]
    Kind,
}

impl PublicKey {
    /// Of SubjectPublicKeyInfo in DER.
    ///
    /// # Errors
    /// Where it is a key of another kind.
    pub fn from_spki(spki: &[u8]) -> Result<Self, KeyError> {
        match spki.strip_prefix(&P256) {
            Some([4, rest @ ..]) if rest.len() + 1 == POINT_BYTES => Ok(Self { spki: spki.to_owned() }),
            _ => Err(KeyError::Kind),
        }
    }

    /// # Errors
    /// Where there is none, or one of another kind.
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        let (_, body) = text.split_once(BEGIN).ok_or(KeyError::Pem)?;
        let (body, _) = body.split_once(END).ok_or(KeyError::Pem)?;
        let body: String = body.split_whitespace().collect();
        Self::from_spki(&STANDARD.decode(body).map_err(|_| KeyError::Pem)?)
    }

    /// All of a text that holds several, the first first.
    ///
    /// # Errors
    /// As [`Self::from_pem`], of any of them.
    pub fn all_from_pem(text: &str) -> Result<Vec<Self>, KeyError> {
        let keys: Vec<Self> = text
            .split_inclusive(END)
            .filter(|part| part.contains(BEGIN))
            .map(Self::from_pem)
            .collect::<Result<_, _>>()?;
        if keys.is_empty() { Err(KeyError::Pem) } else { Ok(keys) }
    }

    /// In lines of 64, as OpenSSL writes it.
    pub fn to_pem(&self) -> String {
        let body = STANDARD.encode(&self.spki);
        let lines: Vec<&str> = (0..body.len()).step_by(64).map(|at| &body[at..body.len().min(at + 64)]).collect();
        format!("{BEGIN}\n{}\n{END}\n", lines.join("\n"))
    }

    /// The point on the curve, uncompressed: what verifies signatures.
    pub fn point(&self) -> &[u8] {
        &self.spki[P256.len()..]
    }

    /// SHA-256 of the SubjectPublicKeyInfo: what a receipt calls the key.
    pub fn id(&self) -> String {
        sha256(&self.spki)
    }
}
