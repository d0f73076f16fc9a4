//! The thread that writes spools. A state folder that stalls holds up this thread, and nobody else: whoever hands work
//! over never waits for it.
//!
//! What waits here is bounded by its bytes ([`Writer::is_full`]), and done in order. Who handed it over asks [`Progress`]
//! how far it is.

use std::{
    collections::HashMap,
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use tokio::sync::Notify;

/// With so many bytes waiting, nothing more is taken.
const QUEUE_BYTES: usize = 4 << 20;

/// Handle of the thread, which ends with the last handle.
#[derive(Clone)]
pub(crate) struct Writer {
    jobs: mpsc::Sender<Job>,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    queued_bytes: AtomicUsize,
    /// Something was done.
    done: Notify,
}

enum Job {
    Write {
        path: PathBuf,
        write: Change,
        ticket: u64,
        progress: Arc<Progress>,
    },
    Remove(PathBuf),
    /// Answered when all that came before it is done.
    Flush(mpsc::Sender<()>),
}

pub(super) enum Change {
    /// To the end of the file.
    Append(Vec<u8>),
    /// A new file with these contents, in place of what is there.
    Replace(Vec<u8>),
}

/// How far the writes of one file are.
#[derive(Debug, Default)]
pub(super) struct Progress(Mutex<Done>);

#[derive(Debug, Default)]
struct Done {
    /// The newest write that succeeded.
    ticket: u64,
    failure: Option<(u64, String)>,
}

impl Progress {
    /// The ticket of the newest write that succeeded; or that of one which failed, and why.
    pub(super) fn take(&self) -> Result<u64, (u64, String)> {
        let mut done = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        done.failure.take().map_or(Ok(done.ticket), Err)
    }

    fn set(&self, ticket: u64, result: io::Result<()>) {
        let mut done = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match result {
            Ok(()) => done.ticket = ticket,
            Err(error) => done.failure = Some((ticket, error.to_string())),
        }
    }
}

/// What the thread does to files.
pub(super) trait Disk: Send + 'static {
    fn append(&mut self, path: &Path, bytes: &[u8]) -> io::Result<()>;
    fn replace(&mut self, path: &Path, bytes: &[u8]) -> io::Result<()>;
    fn remove(&mut self, path: &Path);
}

impl Writer {
    pub(crate) fn start() -> io::Result<Self> {
        Self::on(Files::default())
    }

    pub(super) fn on(mut disk: impl Disk) -> io::Result<Self> {
        let (jobs, queue) = mpsc::channel::<Job>();
        let shared = Arc::new(Shared::default());
        let of_thread = Arc::clone(&shared);
        let run = move || {
            for job in queue {
                work(&mut disk, &of_thread, job);
            }
        };
        thread::Builder::new().name("spool".to_owned()).spawn(run)?;
        Ok(Self { jobs, shared })
    }

    /// Returns when something was done since the last call. Cancel-safe.
    pub(crate) async fn progressed(&self) {
        self.shared.done.notified().await;
    }

    /// Waits until all is done that was handed over, or until `limit` is over.
    pub(crate) fn flush(&self, limit: Duration) -> bool {
        let (done, flushed) = mpsc::channel();
        let _ = self.jobs.send(Job::Flush(done));
        flushed.recv_timeout(limit).is_ok()
    }

    /// Nothing more should be handed over now.
    pub(super) fn is_full(&self) -> bool {
        self.queued_bytes() >= QUEUE_BYTES
    }

    pub(super) fn queued_bytes(&self) -> usize {
        self.shared.queued_bytes.load(Ordering::Acquire)
    }

    pub(super) fn write(&self, path: &Path, write: Change, ticket: u64, progress: &Arc<Progress>) {
        self.shared.queued_bytes.fetch_add(write.bytes(), Ordering::AcqRel);
        let _ = self.jobs.send(Job::Write { path: path.to_owned(), write, ticket, progress: Arc::clone(progress) });
    }

    pub(super) fn remove(&self, path: PathBuf) {
        let _ = self.jobs.send(Job::Remove(path));
    }
}

impl Change {
    fn bytes(&self) -> usize {
        let (Self::Append(bytes) | Self::Replace(bytes)) = self;
        bytes.len()
    }
}

fn work(disk: &mut impl Disk, shared: &Shared, job: Job) {
    match job {
        Job::Write { path, write, ticket, progress } => {
            let result = match &write {
                Change::Append(bytes) => disk.append(&path, bytes),
                Change::Replace(bytes) => disk.replace(&path, bytes),
            };
            progress.set(ticket, result);
            shared.queued_bytes.fetch_sub(write.bytes(), Ordering::AcqRel);
            shared.done.notify_one();
        }
        Job::Remove(path) => disk.remove(&path),
        Job::Flush(done) => drop(done.send(())),
    }
}

/// Real files, open while they are written.
#[derive(Default)]
struct Files(HashMap<PathBuf, File>);

impl Disk for Files {
    fn append(&mut self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let file = self.0.get_mut(path).ok_or_else(|| io::Error::other("an earlier write has failed"))?;
        let whole = file.metadata()?.len();
        let result = file.write_all(bytes);
        if result.is_err() {
            // Half a record would hide all that is appended after it.
            let _ = file.set_len(whole);
            self.0.remove(path);
        }
        result
    }

    fn replace(&mut self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        self.0.remove(path);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let mut new = tandem_durable::NewFile::create(path, tandem_durable::Mode::Shared)?;
        new.write_all(bytes)?;
        self.0.insert(path.to_owned(), new.replace_without_sync()?);
        Ok(())
    }

    fn remove(&mut self, path: &Path) {
        self.0.remove(path);
        if let Err(error) = fs::remove_file(path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(path = %path.display(), %error, "the file of reported events cannot be removed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_failed_write_the_file_is_written_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.spool");
        let mut files = Files::default();
        files.replace(&path, b"one").unwrap();
        files.0.insert(path.clone(), File::options().append(true).open("/dev/full").unwrap());
        assert_eq!(files.append(&path, b"two").map_err(|error| error.kind()), Err(io::ErrorKind::StorageFull));
        // What was handed over meanwhile would leave a gap.
        assert!(files.append(&path, b"three").is_err());
        assert_eq!(fs::read(&path).unwrap(), b"one");
        files.replace(&path, b"one two three").unwrap();
        files.append(&path, b" four").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"one two three four");
    }
}
