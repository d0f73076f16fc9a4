//! DSSE: <https://github.com/secure-systems-lab/dsse>. What is signed, and who signed it, in one JSON document.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};

/// The payload is a statement of in-toto.
pub const IN_TOTO: &str = "application/vnd.in-toto+json";

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Envelope {
    /// In base64.
    pub payload: String,
    pub payload_type: String,
    pub signatures: Vec<Signature>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signature {
    /// [`PublicKey::id`](super::PublicKey::id) of the key.
    #[serde(default)]
    pub keyid: String,
    /// In base64, over [`pae`].
    pub sig: String,
}

/// Why a document holds nothing to verify.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    #[error("it is no DSSE envelope: {0}")]
    Syntax(String),
    #[error("its payload is of type `{0}`; expected {IN_TOTO}")]
    Type(String),
    #[error("it has {0} signatures; expected one")]
    Signatures(usize),
    #[error("its {0} is no base64")]
    Base64(&'static str),
}

impl Envelope {
    /// An envelope of in-toto around `payload`, with the signature over its [`pae`].
    pub fn new(payload: &[u8], keyid: &str, signature: &[u8]) -> Self {
        Self {
            payload: STANDARD.encode(payload),
            payload_type: IN_TOTO.to_owned(),
            signatures: vec![Signature { keyid: keyid.to_owned(), sig: STANDARD.encode(signature) }],
        }
    }

    /// # Errors
    /// Where it is no envelope.
    pub fn parse(text: &[u8]) -> Result<Self, EnvelopeError> {
        serde_json::from_slice(text).map_err(|error| EnvelopeError::Syntax(error.to_string()))
    }

    /// The payload and its signature, and the id of the key that is said to have made it. Nothing is verified.
    ///
    /// # Errors
    /// Where it is of another type, has not one signature, or what is in it cannot be decoded.
    pub fn open(&self) -> Result<(Vec<u8>, Vec<u8>, &str), EnvelopeError> {
        if self.payload_type != IN_TOTO {
            return Err(EnvelopeError::Type(self.payload_type.clone()));
        }
        let [signature] = self.signatures.as_slice() else {
            return Err(EnvelopeError::Signatures(self.signatures.len()));
        };
        let decoded = |what, text: &str| STANDARD.decode(text).map_err(|_| EnvelopeError::Base64(what));
        Ok((decoded("payload", &self.payload)?, decoded("signature", &signature.sig)?, &signature.keyid))
    }
}

/// The bytes that are signed of a payload of in-toto: the type goes with it, so that it is taken for nothing else.
pub fn pae(payload: &[u8]) -> Vec<u8> {
    let mut bytes = format!("DSSEv1 {} {IN_TOTO} {} ", IN_TOTO.len(), payload.len()).into_bytes();
    bytes.extend_from_slice(payload);
    bytes
}
