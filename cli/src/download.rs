//! The bytes of an artifact: checked against its SHA-256 before anybody uses them.

use std::time::Duration;

use anyhow::{Error, Result};
use sha2::{Digest, Sha256};
use tandem_proto::{
    status::Code,
    v1::{Artifact, FetchRequest},
};
use tokio::time::timeout;
use tonic::Status;

use crate::{
    client::{Client, in_time},
    exit::{Exit, Failure},
    patience::Patience,
};

/// The longest wait for the next bytes: the coordinator reads them from a disk that may hang.
const BYTES_WITHIN: Duration = Duration::from_secs(60);

/// Passes the bytes to `each` as they arrive; only when this returns are they known to be intact.
pub(crate) async fn artifact(
    client: &Client,
    artifact: &Artifact,
    mut each: impl FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    let mut received = Received { hash: Sha256::new(), bytes: 0 };
    let mut patience = Patience::default();
    while let Some(status) = receive(client, artifact, &mut patience, &mut received, &mut each).await? {
        // What the coordinator cannot read, or will not hand out, is not intact in the store.
        if matches!(Code::of(&status), Code::WrongState | Code::DataLoss) {
            return Err(damaged(artifact, status.message()));
        }
        patience.wait(client, &format!("fetch {}", artifact.name), status).await?;
    }
    let sha256 = hex::encode(received.hash.finalize());
    if sha256.eq_ignore_ascii_case(&artifact.sha256) {
        return Ok(());
    }
    let found = format!(
        "got {} of {} bytes with SHA-256 {sha256}, expected {}",
        received.bytes, artifact.bytes, artifact.sha256
    );
    Err(damaged(artifact, &found))
}

struct Received {
    hash: Sha256,
    bytes: u64,
}

/// One stream of the bytes, from the first one; those that were received before are left out. `Some`: it broke.
async fn receive(
    client: &Client,
    artifact: &Artifact,
    patience: &mut Patience,
    received: &mut Received,
    each: &mut impl FnMut(&[u8]) -> Result<()>,
) -> Result<Option<Status>> {
    let request = FetchRequest { artifact_id: artifact.id.clone() };
    let mut stream = match in_time(client.services().results().fetch(request)).await {
        Ok(answer) => answer.into_inner(),
        Err(status) => return Ok(Some(status)),
    };
    patience.opened();
    let mut known = received.bytes;
    loop {
        let message = match timeout(BYTES_WITHIN, stream.message()).await {
            Ok(Ok(Some(message))) => message,
            Ok(Ok(None)) => return Ok(None),
            Ok(Err(status)) => return Ok(Some(status)),
            Err(_) => {
                let (name, seconds) = (&artifact.name, BYTES_WITHIN.as_secs());
                let message =
                    format!("cannot fetch {name}: no bytes within {seconds} s; the disk of the store may hang");
                return Err(Failure::error(Exit::Temporary, message));
            }
        };
        patience.received();
        let skipped = known.min(message.chunk.len() as u64);
        known -= skipped;
        let new = &message.chunk[usize::try_from(skipped).unwrap_or(message.chunk.len())..];
        received.hash.update(new);
        received.bytes += new.len() as u64;
        each(new)?;
    }
}

fn damaged(artifact: &Artifact, found: &str) -> Error {
    let message = format!(
        "{} is damaged in the store: {found}; nothing was written. Submit its experiment with --fresh to make it again",
        artifact.name
    );
    Failure::error(Exit::Damaged, message)
}
