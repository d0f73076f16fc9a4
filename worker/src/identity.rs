//! Who this worker is across restarts: an id in its state folder, and a lock, so that one process uses the folder.
//!
//! Two workers with one id end each other's streams and ranks without end. The lock cannot tell a copy of the folder: so
//! beside the id stands where it was made (`origin`), by the machine's id and the number of the lock's file, which a copy on
//! the same machine does not keep.

use std::{
    fs::{self, File, TryLockError},
    io,
    os::unix::fs::MetadataExt,
    path::Path,
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
        let inode = lock.metadata().with_context(|| format!("cannot read {}", lock_path.display()))?.ino();
        let machine = fs::read_to_string("/etc/machine-id").unwrap_or_default();
        check_origin(state, &Origin { machine: machine.trim().to_owned(), inode })?;
        Ok(Self { id: read_or_create(&state.join("worker-id"))?, _lock: lock })
    }
}

/// Where a state folder was made.
#[derive(Debug, PartialEq, Eq)]
struct Origin {
    /// Empty where there is none, as in many containers.
    machine: String,
    /// Of the file `lock`.
    inode: u64,
}

impl Origin {
    fn parse(text: &str) -> Option<Self> {
        let (machine, inode) = text.trim_end_matches('\n').split_once(' ')?;
        Some(Self { machine: machine.to_owned(), inode: inode.parse().ok()? })
    }

    /// Why a folder that was made at `self` and is found at `here` is a copy.
    fn differs_from(&self, here: &Self) -> Option<&'static str> {
        let machines = [&self.machine, &here.machine];
        if machines.iter().all(|machine| !machine.is_empty()) && self.machine != here.machine {
            return Some("it was made on another machine");
        }
        (self.inode != here.inode).then_some("its files were copied from another folder")
    }
}

/// Refuses a copied folder; remembers where a new one was made.
fn check_origin(state: &Path, here: &Origin) -> anyhow::Result<()> {
    let path = state.join("origin");
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let text = format!("{} {}\n", here.machine, here.inode);
            return tandem_durable::replace(&path, text.as_bytes(), tandem_durable::Mode::Shared)
                .with_context(|| format!("cannot write {}", path.display()));
        }
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    };
    let folder = state.display();
    let Some(made_at) = Origin::parse(&text) else {
        bail!("{} is damaged; delete it if no other worker has a copy of {folder}", path.display());
    };
    match made_at.differs_from(here) {
        None => Ok(()),
        Some(why) => bail!(
            "the state folder {folder} is a copy: {why}. Two workers with one id would end each other's ranks. For a worker \
             of its own here, delete the folder; if it was moved or restored and no other worker uses it, delete {}",
            path.display()
        ),
    }
}

fn read_or_create(path: &Path) -> anyhow::Result<Uuid> {
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
    fn a_copied_state_folder_is_refused_and_a_moved_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let id = Identity::open(&at("state")).unwrap().id;
        fs::create_dir(at("copy")).unwrap();
        for name in ["lock", "worker-id", "origin"] {
            fs::copy(at("state").join(name), at("copy").join(name)).unwrap();
        }
        let error = Identity::open(&at("copy")).err().map(|error| error.to_string()).unwrap();
        assert!(error.contains("is a copy") && error.contains("origin"), "{error}");
        fs::rename(at("state"), at("moved")).unwrap();
        assert_eq!(Identity::open(&at("moved")).unwrap().id, id);
        // As the message says.
        fs::remove_file(at("copy").join("origin")).unwrap();
        assert_eq!(Identity::open(&at("copy")).unwrap().id, id);
    }

    #[test]
    fn a_golden_image_is_told_by_the_machine() {
        let origin = |machine: &str, inode| Origin { machine: machine.to_owned(), inode };
        let made_at = origin("a", 7);
        assert_eq!(made_at.differs_from(&origin("a", 7)), None);
        assert!(made_at.differs_from(&origin("b", 7)).is_some_and(|why| why.contains("another machine")));
        // A container without a machine id.
        assert_eq!(made_at.differs_from(&origin("", 7)), None);
        assert_eq!(Origin::parse(" 12\n"), Some(origin("", 12)));
        assert_eq!(Origin::parse("gibberish"), None);
    }

    #[test]
    fn a_damaged_id_is_not_replaced_in_silence() {
        let state = tempfile::tempdir().unwrap();
        fs::write(state.path().join("worker-id"), "gibberish").unwrap();
        let error = Identity::open(state.path()).err().map(|error| error.to_string()).unwrap();
        assert!(error.contains("worker-id"), "{error}");
    }
}
