//! The bytes of one file of the store: checked against its SHA-256 before anybody uses them.

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

/// What is asked for, and what must come.
#[derive(Clone, Debug)]
pub(crate) struct Expected {
    pub(crate) request: FetchRequest,
    /// For messages.
    pub(crate) name: String,
    /// No more than this is taken.
    pub(crate) bytes: u64,
    pub(crate) sha256: String,
    /// What to do where the store holds something else.
    pub(crate) remedy: &'static str,
}

impl Expected {
    pub(crate) fn of(artifact: &Artifact) -> Self {
        Self {
            request: FetchRequest { artifact_id: artifact.id.clone(), ..FetchRequest::default() },
            name: artifact.name.clone(),
            bytes: artifact.bytes,
            sha256: artifact.sha256.clone(),
            remedy: "Submit its experiment with --fresh to make it again",
        }
    }
}

/// What has arrived of a file so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Arrived {
    hash: Sha256,
    pub(crate) bytes: u64,
}

impl Arrived {
    pub(crate) fn add(&mut self, bytes: &[u8]) {
        self.hash.update(bytes);
        self.bytes += bytes.len() as u64;
    }

    pub(crate) fn sha256(self) -> String {
        hex::encode(self.hash.finalize())
    }
}

/// All bytes of an artifact that is read into memory.
pub(crate) async fn artifact(
    client: &Client,
    artifact: &Artifact,
    each: impl FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    rest(client, &Expected::of(artifact), Arrived::default(), each).await
}

/// Passes on the bytes that have not `arrived` yet, as they come; only when this returns is the whole file known to be intact.
pub(crate) async fn rest(
    client: &Client,
    expected: &Expected,
    mut arrived: Arrived,
    mut each: impl FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    let mut patience = Patience::default();
    while let Some(status) = receive(client, expected, &mut patience, &mut arrived, &mut each).await? {
        // What the coordinator cannot read, or will not hand out, is not intact in the store.
        if matches!(Code::of(&status), Code::WrongState | Code::DataLoss) {
            return Err(damaged(expected, status.message()));
        }
        patience.wait(client, &format!("fetch {}", expected.name), status).await?;
    }
    let bytes = arrived.bytes;
    let sha256 = arrived.sha256();
    if sha256.eq_ignore_ascii_case(&expected.sha256) {
        return Ok(());
    }
    let found = format!("got {bytes} of {} bytes with SHA-256 {sha256}, expected {}", expected.bytes, expected.sha256);
    Err(damaged(expected, &found))
}

/// One stream of the bytes, from the first one that has not arrived. `Some`: it broke.
async fn receive(
    client: &Client,
    expected: &Expected,
    patience: &mut Patience,
    arrived: &mut Arrived,
    each: &mut impl FnMut(&[u8]) -> Result<()>,
) -> Result<Option<Status>> {
    let request = FetchRequest { offset: arrived.bytes, ..expected.request.clone() };
    let mut stream = match in_time(client.services().results().fetch(request)).await {
        Ok(answer) => answer.into_inner(),
        Err(status) => return Ok(Some(status)),
    };
    patience.opened();
    // How many of the bytes that come have arrived before: a coordinator may begin earlier than it was asked to.
    let mut known = None;
    loop {
        let message = match timeout(BYTES_WITHIN, stream.message()).await {
            Ok(Ok(Some(message))) => message,
            Ok(Ok(None)) => return Ok(None),
            Ok(Err(status)) => return Ok(Some(status)),
            Err(_) => {
                let (name, seconds) = (&expected.name, BYTES_WITHIN.as_secs());
                let message =
                    format!("cannot fetch {name}: no bytes within {seconds} s; the disk of the store may hang");
                return Err(Failure::error(Exit::Temporary, message));
            }
        };
        patience.received();
        let known = known.get_or_insert(arrived.bytes.saturating_sub(message.offset));
        let skipped = (*known).min(message.chunk.len() as u64);
        *known -= skipped;
        let new = &message.chunk[usize::try_from(skipped).unwrap_or(message.chunk.len())..];
        if arrived.bytes + new.len() as u64 > expected.bytes {
            return Err(damaged(expected, &format!("it is longer than its {} bytes", expected.bytes)));
        }
        arrived.add(new);
        each(new)?;
    }
}

fn damaged(expected: &Expected, found: &str) -> Error {
    let Expected { name, remedy, .. } = expected;
    Failure::error(
        Exit::Damaged,
        format!("{name} is damaged in the store: {found}; nothing of it was written. {remedy}"),
    )
}
