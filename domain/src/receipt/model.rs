//! The OpenSSF model signature of a folder: <https://github.com/sigstore/model-transparency>. The public package
//! `model-signing` verifies it with the house's public key, without anything of ours.

use serde_json::{Value as Json, json};
use sha2::{Digest, Sha256};

use super::{envelope::Envelope, key::PublicKey, statement::sha256};

/// Names of what is put beside the files of a job.
pub const RECEIPT_FILE: &str = "receipt.json";
pub const SIGNATURE_FILE: &str = "model.sig";
pub const KEY_FILE: &str = "house.pub";

/// A file of the folder.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct File {
    pub name: String,
    /// In hexadecimal digits.
    pub sha256: String,
}

/// The statement that is signed of a folder called `name` with these files: what is to be signed is its
/// [`pae`](super::pae). `None` if a SHA-256 is none.
pub fn model_signature(name: &str, files: &[File]) -> Option<String> {
    let mut files: Vec<&File> = files.iter().collect();
    files.sort();
    let mut all = Sha256::new();
    for file in &files {
        all.update(decoded(&file.sha256)?);
    }
    let all: String = all.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    let resources: Vec<Json> = files
        .iter()
        .map(|file| json!({"name": file.name, "algorithm": "sha256", "digest": file.sha256.to_ascii_lowercase()}))
        .collect();
    let statement = json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": name, "digest": {"sha256": all}}],
        "predicateType": "https://model_signing/signature/v1.0",
        "predicate": {
            "serialization": {
                "method": "files",
                "hash_type": "sha256",
                "allow_symlinks": false,
                "ignore_paths": [SIGNATURE_FILE, ".git", ".gitattributes", ".github", ".gitignore"],
            },
            "resources": resources,
        },
    });
    Some(statement.to_string())
}

/// The signed statement as a bundle of Sigstore, which the file beside the model holds.
pub fn bundle(key: &PublicKey, statement: &str, signature: &[u8]) -> String {
    let Envelope { payload, payload_type, signatures } = Envelope::new(statement.as_bytes(), "", signature);
    let bundle = json!({
        "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
        // What the package calls the key: the SHA-256 of its PEM.
        "verificationMaterial": {"publicKey": {"hint": sha256(key.to_pem().as_bytes())}, "tlogEntries": []},
        "dsseEnvelope": {"payload": payload, "payloadType": payload_type, "signatures": signatures},
    });
    format!("{bundle}\n")
}

fn decoded(sha256: &str) -> Option<Vec<u8>> {
    if sha256.len() != 64 || !sha256.is_ascii() {
        return None;
    }
    (0..64).step_by(2).map(|at| u8::from_str_radix(&sha256[at..at + 2], 16).ok()).collect()
}
