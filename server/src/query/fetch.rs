//! The bytes of an artifact, or of a file of a checkpoint, read from the store's folder.
//!
//! What lies there may be no file, and may change while it is read.

use std::{fs::File, io, os::unix::fs::FileExt, path::Path, sync::Arc};

use tokio::sync::mpsc;
use tokio_util::{bytes::Bytes, sync::CancellationToken};
use uuid::Uuid;

use crate::{
    error::{Error, Result},
    store::{
        Conn,
        files::{self, Artifact, Checkpoint},
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

/// The checkpoint of `job` at `step`; `job` is a whole id.
pub(crate) async fn find_checkpoint(conn: &mut Conn, job: &str, step: u64) -> Result<Checkpoint> {
    let none =
        || Error::NotFound(format!("job `{job}` has no checkpoint of step {step}; `tandem show JOB` lists them"));
    let id = Uuid::parse_str(job.trim()).map_err(|_| Error::Invalid(format!("`{job}` is no job's whole id")))?;
    let step = i64::try_from(step).map_err(|_| none())?;
    files::checkpoint(conn, id, step).await?.ok_or_else(none)
}

/// A file that is there, whole as far as its size says.
pub(crate) struct Open {
    file: Arc<File>,
    pub(crate) size: u64,
    name: String,
    what: &'static What,
}

impl Open {
    /// The last part of its path.
    pub(crate) fn file_name(&self) -> &str {
        self.name.rsplit('/').next().unwrap_or(&self.name)
    }
}

pub(crate) async fn open(root: &Path, artifact: &Artifact) -> Result<Open> {
    let what = &ARTIFACT;
    let name = path_in_store(&artifact.uri, root).map_err(|problem| Error::Damaged(format!("artifact: {problem}")))?;
    let open = open_named(root, name, what).await?;
    let (size, expected) = (open.size, crate::store::unsigned(artifact.bytes));
    if size == expected {
        return Ok(open);
    }
    Err(damaged(&open.name, what, &format!("it has {size} bytes, but {expected} were stored")))
}

/// A file of a checkpoint's folder; without a name that which its SHA-256 is of: the manifest, or the file that it is.
pub(crate) async fn open_checkpoint(root: &Path, checkpoint: &Checkpoint, file: &str) -> Result<Open> {
    let what = &CHECKPOINT;
    let folder =
        path_in_store(&checkpoint.path, root).map_err(|problem| Error::Damaged(format!("checkpoint: {problem}")))?;
    if !file.is_empty() {
        if file.contains('/') || path_in_store(file, root).is_err() {
            return Err(Error::Invalid(format!("`{file}` is no file of a checkpoint: its manifest names them")));
        }
        return open_named(root, format!("{folder}/{file}"), what).await;
    }
    let path = root.join(&folder);
    let is_folder = step(&folder, what, move || Ok(path.metadata()?.is_dir())).await?;
    open_named(root, if is_folder { format!("{folder}/{CHECKPOINT_MANIFEST}") } else { folder }, what).await
}

/// What a checkpoint's folder is proved by: `learn` writes it.
const CHECKPOINT_MANIFEST: &str = "manifest.json";

async fn open_named(root: &Path, name: String, what: &'static What) -> Result<Open> {
    let path = root.join(&name);
    let (file, size, is_file) = step(&name, what, move || {
        let file = open_to_read(&path)?;
        let metadata = file.metadata()?;
        Ok((file, metadata.len(), metadata.is_file()))
    })
    .await?;
    if is_file {
        Ok(Open { file: Arc::new(file), size, name, what })
    } else {
        Err(damaged(&name, what, "it is no regular file"))
    }
}

/// Sends the bytes from `offset` on in order, until the client is gone or `closing`.
pub(crate) async fn send(open: Open, offset: u64, sender: mpsc::Sender<Result<Bytes>>, closing: CancellationToken) {
    let mut position = offset;
    while position < open.size {
        let (file, end) = (open.file.clone(), (position + CHUNK_BYTES).min(open.size));
        let read = step(&open.name, open.what, move || {
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

/// A kind of file, for messages.
struct What {
    kind: &'static str,
    remedy: &'static str,
}

const ARTIFACT: What =
    What { kind: "artifact", remedy: "it is not handed out, and submitting its job with --fresh makes it anew" };
const CHECKPOINT: What =
    What { kind: "checkpoint", remedy: "a newer or an older one may be there: `tandem show JOB` lists them" };

/// One step in the store's folder.
async fn step<T: Send + 'static>(
    name: &str,
    what: &What,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T> {
    store_folder::step(work).await.map_err(|error| {
        let kind = match &error {
            StepError::Io(error) => Some(error.kind()),
            StepError::Silent(_) => None,
        };
        match kind {
            Some(io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => damaged(name, what, "it is missing"),
            Some(io::ErrorKind::UnexpectedEof) => damaged(name, what, "it became shorter while it was read"),
            Some(io::ErrorKind::PermissionDenied | io::ErrorKind::IsADirectory) => {
                damaged(name, what, &error.to_string())
            }
            _ => Error::StoreAway(format!("{} `{name}` cannot be read from the store: {error}", what.kind)),
        }
    })
}

fn damaged(name: &str, what: &What, why: &str) -> Error {
    Error::Damaged(format!("{} `{name}` is damaged in the store: {why}; {}", what.kind, what.remedy))
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
    async fn of_a_checkpoint_only_its_own_files_are_handed_out() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("jobs/step-8")).unwrap();
        std::fs::write(root.path().join("jobs/step-8/manifest.json"), "{}").unwrap();
        std::fs::write(root.path().join("jobs/attacked-8"), "12345").unwrap();
        std::fs::write(root.path().join("secret"), "").unwrap();
        let of = |path: &str| {
            let (path, sha256) = (path.to_owned(), String::new());
            Checkpoint { step: 8, path, sha256, state_sha256: String::new(), bytes: 7, at: Utc::now() }
        };
        let (folder, file) = (of("jobs/step-8"), of("jobs/attacked-8"));
        assert_eq!(open_checkpoint(root.path(), &folder, "").await.ok().unwrap().file_name(), "manifest.json");
        assert_eq!(open_checkpoint(root.path(), &folder, "manifest.json").await.ok().unwrap().size, 2);
        assert_eq!(open_checkpoint(root.path(), &file, "").await.ok().unwrap().file_name(), "attacked-8");
        for outside in ["../../secret", "..", "/etc/passwd", "a/b", "../attacked-8"] {
            let error = open_checkpoint(root.path(), &folder, outside).await.err().expect(outside);
            assert_eq!(error.code(), Code::InvalidInput, "{error}");
        }
        let gone = open_checkpoint(root.path(), &of("jobs/step-4"), "").await.err().unwrap();
        assert!(gone.to_string().contains("checkpoint `jobs/step-4` is damaged in the store: it is missing"), "{gone}");
    }

    #[tokio::test]
    async fn a_file_that_shrinks_meanwhile_is_damaged_and_a_whole_one_comes_in_chunks() {
        let root = tempfile::tempdir().unwrap();
        let bytes: Vec<u8> = (0..1_200_000u32).map(|i| (i % 251) as u8).collect();
        std::fs::write(root.path().join("whole"), &bytes).unwrap();
        let whole = open(root.path(), &artifact("whole", 1_200_000)).await.ok().unwrap();
        let (sender, mut chunks) = mpsc::channel(9);
        send(whole, 0, sender, CancellationToken::new()).await;
        let mut received = Vec::new();
        while let Some(chunk) = chunks.recv().await {
            received.extend_from_slice(&chunk.unwrap());
        }
        assert!(received == bytes);

        let rest = open(root.path(), &artifact("whole", 1_200_000)).await.ok().unwrap();
        let (sender, mut chunks) = mpsc::channel(9);
        send(rest, 1_199_990, sender, CancellationToken::new()).await;
        assert_eq!(chunks.recv().await.unwrap().unwrap(), bytes[1_199_990..]);
        assert!(chunks.recv().await.is_none());

        let shrinking = open(root.path(), &artifact("whole", 1_200_000)).await.ok().unwrap();
        std::fs::write(root.path().join("whole"), "").unwrap();
        let (sender, mut chunks) = mpsc::channel(9);
        send(shrinking, 0, sender, CancellationToken::new()).await;
        assert_eq!(chunks.recv().await.unwrap().unwrap_err().code(), Code::DataLoss);
    }
}
