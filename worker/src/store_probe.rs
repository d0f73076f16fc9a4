//! Whether this worker sees the coordinator's store: it reads the store's id there, and writes it into a file that the
//! coordinator reads back.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Instant,
};

use tandem_domain::{
    fit::{STORE_ID_FILE, STORE_PROBES},
    timing::{STORE_ANSWER, STORE_PROBE, STORE_PROBE_AGAIN},
};
use tandem_proto::v1::{Registered, StoreSeen};
use tokio::{
    sync::{mpsc, watch},
    task::{JoinHandle, spawn},
    time::sleep_until,
};

use crate::in_thread::InThread;

/// Looks at the store again and again, as long as one stream lasts.
pub(crate) struct StoreProbe {
    looks: mpsc::Receiver<StoreSeen>,
    fit: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl StoreProbe {
    pub(crate) fn start(root: PathBuf, registered: &Registered) -> Self {
        let (sender, looks) = mpsc::channel(1);
        let (fit, is_fit) = watch::channel(true);
        let task = spawn(probe(root, registered.store_id.clone(), registered.probe.clone(), sender, is_fit));
        Self { looks, fit, task }
    }

    /// The next look. Cancel-safe.
    pub(crate) async fn next(&mut self) -> StoreSeen {
        match self.looks.recv().await {
            Some(seen) => seen,
            None => std::future::pending().await,
        }
    }

    /// The coordinator's answer: while this worker is unfit, it looks more often.
    pub(crate) fn set_fit(&self, is_fit: bool) {
        self.fit.send_replace(is_fit);
    }
}

impl Drop for StoreProbe {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn probe(
    root: PathBuf,
    id: String,
    name: String,
    looks: mpsc::Sender<StoreSeen>,
    mut fit: watch::Receiver<bool>,
) {
    let mut thread = InThread::new();
    for number in 1.. {
        let began = Instant::now();
        let (folder, expected, file) = (root.clone(), id.clone(), format!("{name}-{number}"));
        let look = thread.run(STORE_ANSWER, move || look(&folder, &expected, &file)).await;
        let error = match look {
            Ok(Some(Ok(()))) => String::new(),
            Ok(Some(Err(error))) => error,
            Ok(None) => format!("the file system of {} does not answer within {STORE_ANSWER:?}", root.display()),
            Err(error) => format!("cannot look at {}: {error}", root.display()),
        };
        let is_seen = error.is_empty();
        if looks.send(StoreSeen { error, number }).await.is_err() {
            return;
        }
        loop {
            let pause = if is_seen && *fit.borrow_and_update() { STORE_PROBE } else { STORE_PROBE_AGAIN };
            tokio::select! {
                () = sleep_until((began + pause).into()) => break,
                changed = fit.changed() => if changed.is_err() { return },
            }
        }
    }
}

fn look(root: &Path, id: &str, file: &str) -> Result<(), String> {
    check(root, id)?;
    let probe = root.join(STORE_PROBES).join(file);
    fs::write(&probe, id).map_err(|error| {
        format!(
            "cannot write {}: {error}; checkpoints and artifacts are written by this worker's user",
            probe.display()
        )
    })
}

/// Whether the folder is the coordinator's store.
pub(crate) fn check(root: &Path, id: &str) -> Result<(), String> {
    let id_file = root.join(STORE_ID_FILE);
    let found = fs::read_to_string(&id_file).map_err(|error| {
        format!(
            "cannot read {}: {error}; mount the coordinator's store under this path, or start the coordinator with a \
             --store that both see",
            id_file.display()
        )
    })?;
    if found.trim() == id {
        return Ok(());
    }
    Err(format!(
        "{} is another folder here than the coordinator's ({} differs); mount the coordinator's under this path",
        root.display(),
        id_file.display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_there_is_seen_and_what_is_not_is_said() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("store");
        let registered = Registered { store_id: "7".into(), probe: "p".into(), ..Default::default() };
        let seen = async || StoreProbe::start(root.clone(), &registered).next().await.error;
        let missing = seen().await;
        assert!(missing.contains("No such file") && missing.contains("mount the coordinator's store"), "{missing}");

        fs::create_dir_all(root.join(STORE_PROBES)).unwrap();
        fs::write(root.join(STORE_ID_FILE), "8\n").unwrap();
        assert!(seen().await.contains("is another folder here"));
        fs::write(root.join(STORE_ID_FILE), "7\n").unwrap();
        assert_eq!(seen().await, "");
        assert_eq!(fs::read_to_string(root.join(STORE_PROBES).join("p-1")).unwrap(), "7");
        fs::remove_dir_all(root.join(STORE_PROBES)).unwrap();
        assert!(seen().await.contains("cannot write"));
    }
}
