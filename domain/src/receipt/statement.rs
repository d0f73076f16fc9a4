//! A receipt as a statement of in-toto, version 1: <https://github.com/in-toto/attestation/tree/main/spec/v1>.

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use sha2::{Digest, Sha256};

use super::facts::{FORMAT, Receipt};

/// Says that the predicate of a statement is a [`Receipt`].
pub const PREDICATE: &str = "https://tandem/receipt/v1";
const STATEMENT: &str = "https://in-toto.io/Statement/v1";

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Statement {
    #[serde(rename = "_type")]
    pub kind: String,
    /// The files that it is about; of a job that left none, its results.
    pub subject: Vec<Subject>,
    #[serde(rename = "predicateType")]
    pub predicate_type: String,
    pub predicate: Receipt,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    pub name: String,
    pub digest: Sha256Digest,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sha256Digest {
    pub sha256: String,
}

/// Why a text is no receipt.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StatementError {
    #[error("it is no statement of in-toto: {0}")]
    Syntax(String),
    #[error("it is a statement of another kind: `{found}`, where a receipt has `{expected}`")]
    Kind { found: String, expected: &'static str },
    #[error("its format is {found}, and this version reads up to {FORMAT}: use a newer `tandem`")]
    Format { found: u64 },
}

impl Statement {
    pub fn new(receipt: Receipt) -> Self {
        Self {
            kind: STATEMENT.to_owned(),
            subject: subjects(&receipt),
            predicate_type: PREDICATE.to_owned(),
            predicate: receipt,
        }
    }

    /// The bytes that are signed: equal for equal receipts.
    ///
    /// # Errors
    /// Where a value cannot be written as JSON, which no receipt has.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(self)
    }

    /// # Errors
    /// Where it is no receipt, or one of a later version.
    pub fn parse(text: &[u8]) -> Result<Self, StatementError> {
        let json: Json = serde_json::from_slice(text).map_err(|error| StatementError::Syntax(error.to_string()))?;
        for (field, expected) in [("_type", STATEMENT), ("predicateType", PREDICATE)] {
            let found = json[field].as_str().unwrap_or_default();
            if found != expected {
                return Err(StatementError::Kind { found: found.to_owned(), expected });
            }
        }
        // The format first: what another one has may not be readable.
        match json["predicate"]["format"].as_u64() {
            Some(found) if found != u64::from(FORMAT) => return Err(StatementError::Format { found }),
            _ => {}
        }
        serde_json::from_value(json).map_err(|error| StatementError::Syntax(error.to_string()))
    }
}

/// What a receipt is about.
pub(super) fn subjects(receipt: &Receipt) -> Vec<Subject> {
    let subject = |name: &str, sha256: &str| Subject {
        name: name.to_owned(),
        digest: Sha256Digest { sha256: sha256.to_owned() },
    };
    if receipt.artifacts.is_empty() {
        let results = serde_json::to_vec(&receipt.results).unwrap_or_default();
        return vec![subject("results", &sha256(&results))];
    }
    receipt.artifacts.iter().map(|artifact| subject(&artifact.name, &artifact.sha256)).collect()
}

/// In hexadecimal digits.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
