//! The bytes of an artifact, read from the store's folder.
//!
//! What lies there may be no file, and may change while it is read.

use std::{fs::File, io, os::unix::fs::FileExt, path::Path, sync::Arc};

use tokio::sync::mpsc;
use tokio_util::{bytes::Bytes, sync::CancellationToken};

use crate::{
    error::{Error, Result},
    store::{
        Conn,
        files::{self, Artifact},
    },
    store_folder::{self, StepError, open_to_read},
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

/// A file that is there, whole as far as its size says.
pub(crate) struct Open {
    file: Arc<File>,
    size: u64,
    name: String,
}

pub(crate) async fn open(root: &Path, artifact: &Artifact) -> Result<Open> {
    let name = path_in_store(&artifact.uri, root).map_err(|problem| Error::Damaged(format!("artifact: {problem}")))?;
    let path = root.join(&name);
    let (file, size, is_file) = step(&name, move || {
        let file = open_to_read(&path)?;
        let metadata = file.metadata()?;
        Ok((file, metadata.len(), metadata.is_file()))
    })
    .await?;
    let expected = crate::store::unsigned(artifact.bytes);
    match (is_file, size == expected) {
        (true, true) => Ok(Open { file: Arc::new(file), size, name }),
        (true, false) => Err(damaged(&name, &format!("it has {size} bytes, but {expected} were stored"))),
        (false, _) => Err(damaged(&name, "it is no regular file")),
    }
}

/// Sends all bytes in order, until the client is gone or `closing`.
pub(crate) async fn send(open: Open, sender: mpsc::Sender<Result<Bytes>>, closing: CancellationToken) {
    let mut position = 0;
    while position < open.size {
        let (file, end) = (open.file.clone(), (position + CHUNK_BYTES).min(open.size));
        let read = step(&open.name, move || {
            let mut chunk = vec![0; usize::try_from(end - position).unwrap_or_default()];
            file.read_exact_at(&mut chunk, position)?;
            Ok(Bytes::from(chunk))
        });
        let chunk = tokio::select! {
            chunk = read => chunk,
            () = closing.cancelled() => Err(Error::ShuttingDown),
            () = sender.closed() => return,
        };
        let failed = chunk.is_err();
        if sender.send(chunk).await.is_err() || failed {
            return;
        }
        position = end;
    }
}

/// One step in the store's folder.
async fn step<T: Send + 'static>(name: &str, work: impl FnOnce() -> io::Result<T> + Send + 'static) -> Result<T> {
    store_folder::step(work).await.map_err(|error| {
        let kind = match &error {
            StepError::Io(error) => Some(error.kind()),
            StepError::Silent(_) => None,
        };
        match kind {
            Some(io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => damaged(name, "it is missing"),
            Some(io::ErrorKind::UnexpectedEof) => damaged(name, "it became shorter while it was read"),
            Some(io::ErrorKind::PermissionDenied | io::ErrorKind::IsADirectory) => damaged(name, &error.to_string()),
            _ => Error::StoreAway(format!("artifact `{name}` cannot be read from the store: {error}")),
        }
    })
}

fn damaged(name: &str, why: &str) -> Error {
    Error::Damaged(format!(
        "artifact `{name}` is damaged in the store: {why}; it is not handed out, and submitting its job with --fresh makes \
         it anew"
    ))
}

#[cfg(test)]
mod tests {
    use chrono::Utc;
    use tandem_proto::status::Code;
    use uuid::Uuid;

    use super::*;

    fn artifact(uri: &str, bytes: i64) -> Artifact {
        let (kind, name, sha256) = ("encoder".to_owned(), "e".to_owned(), String::new());
        Artifact {
            id: Uuid::nil(),
            job_id: Uuid::nil(),
            kind,
            name,
            uri: uri.to_owned(),
            sha256,
            bytes,
            at: Utc::now(),
        }
    }

    #[tokio::test]
    async fn what_is_no_whole_file_is_damaged_whatever_it_is() {
        let root = tempfile::tempdir().unwrap();
        std::fs::write(root.path().join("cut"), "12345").unwrap();
        std::fs::create_dir(root.path().join("folder")).unwrap();
        let (pipe, mode) = (root.path().join("pipe"), rustix::fs::Mode::RUSR);
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        for (uri, why) in [
            ("absent", "it is missing"),
            ("cut", "it has 5 bytes, but 9 were stored"),
            ("folder", "it is no regular file"),
            ("pipe", "it is no regular file"),
            ("cut/below", "it is missing"),
        ] {
            let error = open(root.path(), &artifact(uri, 9)).await.err().expect(uri);
            assert_eq!(error.code(), Code::DataLoss, "{error}");
            assert!(error.to_string().contains(&format!("artifact `{uri}` is damaged in the store: {why}")), "{error}");
        }
    }

    #[tokio::test]
    async fn a_file_that_shrinks_meanwhile_is_damaged_and_a_whole_one_comes_in_chunks() {
        let root = tempfile::tempdir().unwrap();
        let bytes: Vec<u8> = (0..1_200_000u32).map(|i| (i % 251) as u8).collect();
        std::fs::write(root.path().join("whole"), &bytes).unwrap();
        let whole = open(root.path(), &artifact("whole", 1_200_000)).await.ok().unwrap();
        let (sender, mut chunks) = mpsc::channel(9);
        send(whole, sender, CancellationToken::new()).await;
        let mut received = Vec::new();
        while let Some(chunk) = chunks.recv().await {
            received.extend_from_slice(&chunk.unwrap());
        }
        assert!(received == bytes);

        let shrinking = open(root.path(), &artifact("whole", 1_200_000)).await.ok().unwrap();
        std::fs::write(root.path().join("whole"), "").unwrap();
        let (sender, mut chunks) = mpsc::channel(9);
        send(shrinking, sender, CancellationToken::new()).await;
        assert_eq!(chunks.recv().await.unwrap().unwrap_err().code(), Code::DataLoss);
    }
}
