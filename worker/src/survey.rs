//! The data sets that this worker sees, in its data folder and in the store: read by a process of its own, so that its memory and its faults are not the worker's,
//! at the start, when folders have changed, and now and then.

mod folder;
mod process;

use std::{
    io,
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
    time::Instant,
};

use tandem_domain::{
    images::SeenDataset,
    timing::{DATA_LOOK, DATA_SURVEY, DATA_SURVEY_LIMIT, STORE_ANSWER},
};
use tandem_images::packed;
use tandem_proto::v1::{Dataset, Datasets};
use tokio::{
    process::Command,
    sync::{Notify, watch},
    task::spawn,
    time::{sleep, timeout},
};

use crate::{access::SECRET_ENVIRONMENT, in_thread::InThread, line_reader::LineReader};
pub(crate) use process::{SurveyArgs, main};

/// Longest line of the process: a name, a checksum and a sentence.
const LINE_BYTES: usize = 64 * 1024;

/// What is known so far, kept up to date by a task.
pub(crate) struct Survey {
    seen: watch::Receiver<Option<Datasets>>,
    stored: watch::Sender<Option<PathBuf>>,
    again: Arc<Notify>,
}

/// Where data sets are.
struct Folders {
    data: PathBuf,
    /// In the store, once that is known.
    stored: watch::Receiver<Option<PathBuf>>,
    /// In which checksums are remembered.
    kept: PathBuf,
}

impl Survey {
    /// `kept` is the folder in which checksums are remembered. Call it on the thread that lives as long as the worker.
    pub(crate) fn start(data: PathBuf, kept: PathBuf) -> Self {
        let (sender, seen) = watch::channel(None);
        let (stored, stored_seen) = watch::channel(None);
        let again = Arc::new(Notify::new());
        spawn(watch_folders(Folders { data, stored: stored_seen, kept }, sender, again.clone()));
        Self { seen, stored, again }
    }

    /// The coordinator has said where its store is.
    pub(crate) fn set_store(&self, store: &Path) {
        let folder = Some(store.join(packed::FOLDER));
        let is_news = self.stored.send_if_modified(|known| {
            let is_news = *known != folder;
            *known = folder;
            is_news
        });
        if is_news {
            self.again();
        }
    }

    /// Waits for news. Cancel-safe.
    pub(crate) async fn changed(&mut self) {
        if self.seen.changed().await.is_err() {
            std::future::pending().await
        }
    }

    pub(crate) fn newest(&self) -> Option<Datasets> {
        self.seen.borrow().clone()
    }

    /// A rank found other images than were expected: they may have changed.
    pub(crate) fn again(&self) {
        self.again.notify_one();
    }
}

async fn watch_folders(folders: Folders, seen: watch::Sender<Option<Datasets>>, again: Arc<Notify>) {
    let data = &folders.data;
    let mut thread = InThread::new();
    let (mut known, mut read_at, mut is_wanted) = (None, None::<Instant>, true);
    loop {
        let (folder, stored) = (data.clone(), folders.stored.borrow().clone());
        let looks = move || (folder::looks(&folder), stored.as_deref().map(folder::looks));
        let looks = thread.run(STORE_ANSWER, looks).await.ok().flatten();
        if is_wanted || looks != known || read_at.is_none_or(|at| at.elapsed() >= DATA_SURVEY) {
            known = looks;
            match timeout(DATA_SURVEY_LIMIT, read(&folders, &seen)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::warn!("cannot read the data sets in {}: {error}", data.display()),
                Err(_) => {
                    tracing::warn!("reading the data sets in {} took longer than {DATA_SURVEY_LIMIT:?}", data.display())
                }
            }
            read_at = Some(Instant::now());
        }
        is_wanted = tokio::select! {
            () = sleep(DATA_LOOK) => false,
            () = again.notified() => true,
        };
    }
}

/// Reads all data sets. Until the first time has ended, each is told as it is found.
async fn read(folders: &Folders, seen: &watch::Sender<Option<Datasets>>) -> io::Result<()> {
    let mut command = Command::new("/proc/self/exe");
    command.arg0("tandem-worker").arg("survey").arg(format!("--worker-pid={}", std::process::id()));
    command.arg("--data").arg(&folders.data).arg("--kept").arg(&folders.kept);
    folders.stored.borrow().iter().for_each(|stored| _ = command.arg("--stored").arg(stored));
    SECRET_ENVIRONMENT.iter().for_each(|name| _ = command.env_remove(name));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit());
    let mut process = command.process_group(0).kill_on_drop(true).spawn()?;
    let stdout = process.stdout.take().ok_or_else(|| io::Error::other("the new process has no pipe"))?;
    let mut lines = LineReader::new(stdout, LINE_BYTES);
    // While it is read again, what was known holds, and a data set that is not known may be about to be.
    let known = seen.borrow().clone();
    let is_first = known.is_none();
    publish(seen, Datasets { complete: false, ..known.unwrap_or_default() });
    let mut datasets = Vec::new();
    while let Some(line) = lines.next().await {
        datasets.push(Dataset::from(serde_json::from_str::<SeenDataset>(&line)?));
        if is_first {
            publish(seen, Datasets { datasets: datasets.clone(), complete: false });
        }
    }
    let status = process.wait().await?;
    if !status.success() {
        return Err(io::Error::other(format!("the process that reads them ended: {status}")));
    }
    publish(seen, Datasets { datasets, complete: true });
    Ok(())
}

fn publish(seen: &watch::Sender<Option<Datasets>>, datasets: Datasets) {
    seen.send_if_modified(|before| {
        let is_news = before.as_ref() != Some(&datasets);
        *before = Some(datasets);
        is_news
    });
}
