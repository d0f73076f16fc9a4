//! The bytes of an artifact: checked against its SHA-256 before anybody uses them.

use anyhow::Result;
use sha2::{Digest, Sha256};
use tandem_proto::v1::{Artifact, FetchRequest};

use crate::{
    client::Client,
    exit::{Exit, Failure},
};

/// Passes the bytes to `each` as they arrive; only when this returns are they known to be intact.
pub(crate) async fn artifact(
    client: &Client,
    artifact: &Artifact,
    mut each: impl FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    let refusal = |status| client.refusal(&format!("fetch {}", artifact.name), &status);
    let request = FetchRequest { artifact_id: artifact.id.clone() };
    let mut stream = client.results().fetch(request).await.map_err(refusal)?.into_inner();
    let mut hash = Sha256::new();
    let mut bytes = 0;
    while let Some(message) = stream.message().await.map_err(refusal)? {
        hash.update(&message.chunk);
        bytes += message.chunk.len() as u64;
        each(&message.chunk)?;
    }
    let sha256 = hex::encode(hash.finalize());
    if sha256.eq_ignore_ascii_case(&artifact.sha256) {
        return Ok(());
    }
    Err(Failure::error(
        Exit::Temporary,
        format!(
            "{} is damaged: got {bytes} of {} bytes with SHA-256 {sha256}, expected {}; nothing was written, try again",
            artifact.name, artifact.bytes, artifact.sha256
        ),
    ))
}
