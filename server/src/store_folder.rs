//! The store's folder as this process sees it, and the steps that are made in it.
//!
//! A file system may hang. So every step has a time limit and a thread of its own, and there are few of these: a store that
//! hangs takes no other call along.
//!
//! The folder has an id, in a file: whoever reads the same id there sees the same folder, and not one of the same path on
//! another machine.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::{Arc, LazyLock},
    time::Duration,
};

use rustix::fs::OFlags;
use tandem_domain::fit::{STORE_ID_FILE, STORE_PROBES};
use tandem_durable::{Mode, NewFile};
use tokio::{sync::Semaphore, time::timeout};
use uuid::Uuid;

/// How long the store may take for one step.
const STEP: Duration = Duration::from_secs(10);
/// Steps at a time, those that hang included.
static STEPS: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(16)));

/// A probe is read as soon as it is written; an older one is of a worker that is gone.
const PROBE_KEPT: Duration = Duration::from_secs(3600);
/// Longer than an id, or a probe.
const SMALL: u64 = 1024;

/// Why a step came to nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StepError {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("its file system did not answer within {0:?}")]
    Silent(Duration),
}

#[derive(Clone, Debug)]
pub(crate) struct StoreFolder {
    /// The full path, which workers see it under, too.
    pub(crate) root: PathBuf,
    pub(crate) id: String,
}

impl StoreFolder {
    /// Creates the folder and its id, unless they are there, and removes probes that nobody read.
    pub(crate) fn open(folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let root = folder.canonicalize()?;
        fs::create_dir_all(root.join(STORE_PROBES))?;
        if let Err(error) = remove_old_probes(&root.join(STORE_PROBES)) {
            tracing::warn!(%error, "cannot remove old files from {STORE_PROBES} in the store");
        }
        let id = match id_in(&root) {
            Ok(id) => id,
            // Coordinators that start at one moment agree on the id of the first.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let mut file = NewFile::create(&root.join(STORE_ID_FILE), Mode::Shared)?;
                io::Write::write_all(&mut file, Uuid::new_v4().to_string().as_bytes())?;
                match file.keep_existing() {
                    Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                    _ => id_in(&root)?,
                }
            }
            Err(error) => return Err(error),
        };
        Ok(Self { root, id })
    }

    /// Whether this process sees the folder now. The error says why not.
    pub(crate) async fn is_seen(&self) -> Result<(), String> {
        let root = self.root.clone();
        let away = |why: &str| format!("this coordinator cannot read its store {}: {why}", self.root.display());
        match step(move || id_in(&root)).await {
            Ok(id) if id == self.id => Ok(()),
            Ok(_) => Err(away(&format!("another folder is there now ({STORE_ID_FILE} has changed)"))),
            Err(error) => Err(away(&error.to_string())),
        }
    }
}

/// What workers left that ended between writing a probe and saying so.
fn remove_old_probes(probes: &Path) -> io::Result<()> {
    for entry in fs::read_dir(probes)? {
        let entry = entry?;
        if entry.metadata()?.modified()?.elapsed().is_ok_and(|age| age > PROBE_KEPT) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

fn id_in(root: &Path) -> io::Result<String> {
    let id = read_small(&root.join(STORE_ID_FILE))?;
    match Uuid::parse_str(id.trim()) {
        Ok(id) => Ok(id.to_string()),
        Err(_) => {
            let why = format!("{STORE_ID_FILE} holds no id; remove that file, and the next start makes another");
            Err(io::Error::new(io::ErrorKind::InvalidData, why))
        }
    }
}

/// Opens what is there for reading. A pipe in its place would wait for somebody who writes.
pub(crate) fn open_to_read(path: &Path) -> io::Result<File> {
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path)
}

/// The text of a small file.
pub(crate) fn read_small(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    io::Read::read_to_string(&mut io::Read::take(open_to_read(path)?, SMALL), &mut text)?;
    Ok(text)
}

/// One step in the store's folder, in a thread of its own.
pub(crate) async fn step<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, StepError> {
    step_within(STEP, work).await
}

/// One that may take longer.
pub(crate) async fn step_within<T: Send + 'static>(
    limit: Duration,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, StepError> {
    let limited = timeout(limit, async {
        let place = STEPS.clone().acquire_owned().await.map_err(io::Error::other)?;
        let step = tokio::task::spawn_blocking(move || {
            let _held = place;
            work()
        });
        step.await.map_err(io::Error::other)?
    });
    match limited.await {
        Ok(done) => Ok(done?),
        Err(_) => Err(StepError::Silent(limit)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_id_stays_and_another_folder_in_its_place_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("store");
        let first = StoreFolder::open(&folder).unwrap();
        assert_eq!(StoreFolder::open(&folder).unwrap().id, first.id);
        assert_eq!(first.is_seen().await, Ok(()));

        fs::rename(&folder, dir.path().join("away")).unwrap();
        let away = first.is_seen().await.unwrap_err();
        assert!(away.contains("cannot read its store") && away.contains("No such file"), "{away}");
        StoreFolder::open(&folder).unwrap();
        assert!(first.is_seen().await.unwrap_err().contains("another folder is there now"));
    }

    #[test]
    fn old_probes_go_and_new_ones_stay() {
        let dir = tempfile::tempdir().unwrap();
        let probes = StoreFolder::open(dir.path()).unwrap().root.join(STORE_PROBES);
        for name in ["old", "new"] {
            fs::write(probes.join(name), "").unwrap();
        }
        let old = File::options().write(true).open(probes.join("old")).unwrap();
        old.set_modified(std::time::SystemTime::now() - PROBE_KEPT - STEP).unwrap();
        StoreFolder::open(dir.path()).unwrap();
        assert!(!probes.join("old").exists() && probes.join("new").exists());
    }

    #[test]
    fn a_damaged_id_is_said_and_not_replaced() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(STORE_ID_FILE), "").unwrap();
        let error = StoreFolder::open(dir.path()).unwrap_err().to_string();
        assert!(error.contains("holds no id; remove that file"), "{error}");
        assert_eq!(fs::read_to_string(dir.path().join(STORE_ID_FILE)).unwrap(), "");
    }
}
