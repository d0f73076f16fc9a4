//! Whether a worker gets jobs: its version fits, and it sees the store.
//!
//! It reads the store's id there, and what it writes there is read back here: so both see one folder, and not two of the same
//! path. It says so after each registration and again when the answer may have changed.

use std::{fs, sync::Arc};

use tandem_domain::{
    fit::{STORE_PROBES, Versions},
    timing::timing,
};
use tandem_proto::v1::{self, coordinator_message::Message};

use crate::{
    dispatch::sessions::Session,
    error::Result,
    store::{
        Store,
        events::{self, About},
        notify::{Topic, notify},
        retry, within, workers,
    },
    store_folder::{StoreFolder, read_small, step},
};

/// Of a worker that has just registered.
pub(crate) const NOT_SHOWN: &str = "it has not shown yet that it sees the store";

/// Why a worker of this version gets no jobs; `None` if it may.
pub(crate) fn version_refused(register: &v1::Register) -> Option<String> {
    let (learn, program) = (register.learn_version.clone(), register.version.clone());
    Versions::ours(env!("CARGO_PKG_VERSION")).refuse(&Versions { protocol: register.protocol, learn, program })
}

/// Finds out whether the worker sees the store, stores the answer and sends it.
pub(crate) async fn check(store: Store, folder: StoreFolder, session: Arc<Session>, seen: v1::StoreSeen) {
    let unfit = match &session.refused {
        Some(reason) => reason.clone(),
        None => unfit(&folder, &session, &seen).await,
    };
    match within(timing().report_limit(), retry(|| put(&store, &session, &unfit))).await {
        Ok(true) if unfit.is_empty() => tracing::info!(worker = session.name, "sees the store, and gets jobs"),
        Ok(true) => tracing::warn!(worker = session.name, "gets no jobs: {unfit}"),
        Ok(false) => {}
        // It says so again.
        Err(error) => tracing::warn!(worker = session.name, %error, "cannot store whether it is fit"),
    }
    session.send(Message::Fitness(v1::Fitness { unfit }));
}

async fn put(store: &Store, session: &Session, unfit: &str) -> Result<bool> {
    // Not the lane: a fleet that registers at once must leave its connections to heartbeats.
    let mut tx = store.reports.begin().await?;
    let is_news = workers::set_unfit(&mut tx, session.worker, session.id, unfit).await?;
    if is_news {
        if !unfit.is_empty() {
            let message = format!("{} gets no jobs: {unfit}", session.name);
            events::append(&mut tx, About::worker(session.worker), "worker unfit", &message).await?;
        }
        notify(&mut tx, &[Topic::Schedule]).await?;
    }
    tx.commit().await?;
    Ok(is_news)
}

async fn unfit(folder: &StoreFolder, session: &Session, seen: &v1::StoreSeen) -> String {
    if !seen.error.is_empty() {
        return format!("it does not see the store: {}", crate::report::batch::short(&seen.error, 1000));
    }
    let probe = folder.root.join(STORE_PROBES).join(format!("{}-{}", session.id, seen.number));
    let read = step(move || {
        let text = read_small(&probe)?;
        // What stays is removed at the next start.
        let _ = fs::remove_file(&probe);
        Ok(text)
    });
    let root = folder.root.display();
    match read.await {
        Ok(text) if text.trim() == folder.id => String::new(),
        Ok(_) => format!("what it wrote into the store {root} is not what the coordinator reads there"),
        Err(error) => match folder.is_seen().await {
            Err(why) => format!("{why}; until it can, no worker gets jobs"),
            Ok(()) => format!(
                "what it wrote into {root} cannot be read there by the coordinator ({error}): both must see one folder under \
                 that path"
            ),
        },
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;
    use uuid::Uuid;

    use super::*;

    #[tokio::test]
    async fn a_worker_is_fit_once_what_it_wrote_was_read_back() {
        let dir = tempfile::tempdir().unwrap();
        let folder = StoreFolder::open(&dir.path().join("store")).unwrap();
        let session = Session::new(Uuid::new_v4(), "cpu-0".into(), Vec::new(), mpsc::channel(1).0);
        let seen = |error: &str, number| v1::StoreSeen { error: error.to_owned(), number };

        let unreadable = unfit(&folder, &session, &seen("no such folder", 1)).await;
        assert_eq!(unreadable, "it does not see the store: no such folder");
        let elsewhere = unfit(&folder, &session, &seen("", 1)).await;
        assert!(elsewhere.contains("both must see one folder under that path"), "{elsewhere}");

        let probe = folder.root.join(STORE_PROBES).join(format!("{}-2", session.id));
        fs::write(&probe, "another id").unwrap();
        assert!(unfit(&folder, &session, &seen("", 2)).await.contains("is not what the coordinator reads"));
        let probe = folder.root.join(STORE_PROBES).join(format!("{}-3", session.id));
        fs::write(&probe, &folder.id).unwrap();
        assert_eq!(unfit(&folder, &session, &seen("", 3)).await, "");
        assert!(!probe.exists());

        fs::rename(&folder.root, dir.path().join("away")).unwrap();
        let away = unfit(&folder, &session, &seen("", 4)).await;
        assert!(away.contains("this coordinator cannot read its store"), "the coordinator's fault: {away}");
    }
}
