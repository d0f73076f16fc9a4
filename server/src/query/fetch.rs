//! The bytes of an artifact, read from the store's folder.

use std::{path::Path, sync::Arc};

use object_store::{ObjectStore, ObjectStoreExt, path::Path as Location};
use tokio::sync::mpsc;
use tokio_util::{bytes::Bytes, sync::CancellationToken};

use crate::{
    error::{Error, Result},
    store::{
        Conn,
        files::{self, Artifact},
    },
    store_path::path_in_store,
    target::is_prefix,
};

const CHUNK_BYTES: u64 = 512 * 1024;

/// Finds the artifact whose id begins with `id`.
pub(crate) async fn find(conn: &mut Conn, id: &str) -> Result<Artifact> {
    let prefix = id.trim().to_ascii_lowercase();
    let mut found = if is_prefix(&prefix) { files::artifacts_by_prefix(conn, &prefix).await? } else { Vec::new() };
    match (found.pop(), found.is_empty()) {
        (Some(artifact), true) => Ok(artifact),
        (Some(_), false) => Err(Error::Invalid(format!("more than one artifact's id begins with `{id}`"))),
        (None, _) => Err(Error::NotFound(format!("no artifact has the id `{id}`; `tandem show JOB` lists them"))),
    }
}

pub(crate) struct Open {
    store: Arc<dyn ObjectStore>,
    location: Location,
    size: u64,
    name: String,
}

pub(crate) async fn open(store: Arc<dyn ObjectStore>, root: &Path, artifact: &Artifact) -> Result<Open> {
    let name = path_in_store(&artifact.uri, root).map_err(|problem| Error::Refused(format!("artifact: {problem}")))?;
    let failed = |source| Error::Store { what: format!("artifact `{name}`"), source };
    let location = Location::parse(&name).map_err(|error| failed(error.into()))?;
    let size = store.head(&location).await.map_err(failed)?.size;
    let expected = crate::store::unsigned(artifact.bytes);
    if size != expected {
        return Err(Error::Refused(format!(
            "artifact `{name}` has {size} bytes in the store but was stored with {expected}; it is not handed out"
        )));
    }
    Ok(Open { store, location, size, name })
}

/// Sends all bytes in order, until the client is gone or `closing`.
pub(crate) async fn send(open: Open, sender: mpsc::Sender<Result<Bytes>>, closing: CancellationToken) {
    let mut position = 0;
    while position < open.size {
        let end = (position + CHUNK_BYTES).min(open.size);
        let chunk = tokio::select! {
            chunk = open.store.get_range(&open.location, position..end) => {
                chunk.map_err(|source| Error::Store { what: format!("artifact `{}`", open.name), source })
            }
            () = closing.cancelled() => Err(Error::ShuttingDown),
        };
        let failed = chunk.is_err();
        if sender.send(chunk).await.is_err() || failed {
            return;
        }
        position = end;
    }
}
