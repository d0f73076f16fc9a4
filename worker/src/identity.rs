//! Who this worker is across restarts: an id in its state folder, and a lock, so that one process uses the folder.

use std::{
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use uuid::Uuid;

/// Held for as long as the worker runs.
pub(crate) struct Identity {
    pub(crate) id: Uuid,
    _lock: File,
}

impl Identity {
    /// Reads the worker's id from `state`, or makes one. Refuses a folder that another worker uses.
    pub(crate) fn open(state: &Path) -> anyhow::Result<Self> {
        fs::create_dir_all(state).with_context(|| format!("cannot create the state folder {}", state.display()))?;
        let lock_path = state.join("lock");
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&lock_path)
            .with_context(|| format!("cannot open {}", lock_path.display()))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => bail!(
                "the state folder {} is used by a worker that runs already; stop that one, or give this one another \
                 folder with --state",
                state.display()
            ),
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("cannot lock {}", lock_path.display()));
            }
        }
        Ok(Self { id: read_or_create(&state.join("worker-id"))?, _lock: lock })
    }
}

fn read_or_create(path: &PathBuf) -> anyhow::Result<Uuid> {
    match fs::read_to_string(path) {
        Ok(text) => text
            .trim()
            .parse()
            .with_context(|| format!("{} holds no worker id; delete it to register as a new worker", path.display())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let id = Uuid::now_v7();
            tandem_durable::replace(path, format!("{id}\n").as_bytes(), tandem_durable::Mode::Shared)
                .with_context(|| format!("cannot write {}", path.display()))?;
            Ok(id)
        }
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_outlives_the_process_and_one_process_holds_it() {
        let state = tempfile::tempdir().unwrap();
        let first = Identity::open(state.path()).unwrap();
        let second = Identity::open(state.path()).err().map(|error| error.to_string()).unwrap();
        assert!(second.contains("--state"), "{second}");
        let id = first.id;
        drop(first);
        assert_eq!(Identity::open(state.path()).unwrap().id, id);
    }

    #[test]
    fn a_damaged_id_is_not_replaced_in_silence() {
        let state = tempfile::tempdir().unwrap();
        fs::write(state.path().join("worker-id"), "gibberish").unwrap();
        let error = Identity::open(state.path()).err().map(|error| error.to_string()).unwrap();
        assert!(error.contains("worker-id"), "{error}");
    }
}
