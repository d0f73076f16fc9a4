//! A house out of an archive, into an empty database and an empty folder.
//!
//! Until the last step a mark stands in the database, and no coordinator starts on it. What broke off is not gone on with: it is dropped.

use std::{
    fs::{self, DirBuilder},
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::atomic::Ordering::Relaxed,
    time::Duration,
};

use tandem_archive::{Begin, Error as ArchiveError, Manifest, Restored, begin, check};
use tokio::{
    sync::mpsc,
    task::spawn_blocking,
    time::{interval, timeout},
};

use super::{
    failed::Failed,
    load,
    renew::{self, Renewed},
    say::Say,
    unpack::{Shared, unpack},
};
use crate::{
    receipts::HouseKey,
    store::{
        load as rows,
        schema::{Empty, known_version, open_empty},
    },
};

/// Pieces of rows that wait for the database, of 8 MB as a rule.
const WAITING: usize = 2;
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// A disk that takes or gives nothing for so long does not answer.
const SILENT: Duration = Duration::from_secs(600);

/// What to restore, and where.
pub(crate) struct Restore {
    archive: PathBuf,
    database_url: String,
    password: Option<String>,
    store: PathBuf,
    receipt_key: PathBuf,
    keep_tokens: bool,
    shared: Shared,
}

impl Restore {
    pub(crate) fn new(
        archive: PathBuf,
        database_url: String,
        password: Option<String>,
        store: PathBuf,
        receipt_key: PathBuf,
        keep_tokens: bool,
    ) -> Self {
        Self { archive, database_url, password, store, receipt_key, keep_tokens, shared: Shared::default() }
    }

    /// Ends what goes on, as soon as the disks answer.
    pub(crate) fn stop(&self) {
        self.shared.stop.store(true, Relaxed);
    }

    /// Restores it. Nothing is changed before the archive is known to be whole and of a version that can be used.
    pub(crate) async fn run(&self, say: &Say) -> Result<Restored, Failed> {
        let manifest = self.checked(say).await?;
        refuse_used(&self.store)?;
        let mut empty = open_empty(&self.database_url, self.password.as_deref()).await?;
        make(&self.store).map_err(|error| Failed::write(&self.store, &error))?;
        // As it was when the rows were written.
        empty.migrate(Some(manifest.begin.schema)).await?;
        let rows = self.fill(&mut empty, &manifest, say).await?;
        say.note("bringing the database up to date");
        empty.migrate(None).await?;
        empty.prepare().await?;
        rows::analyze(&mut empty.conn).await?;
        let store = empty.store();
        HouseKey::open(&store, &self.receipt_key, "tandem-server restore", true).await?;
        store.close().await;
        let renewed = self.renew(&mut empty, &manifest.begin).await?;
        let Renewed { house, fence, ended, revoked } = renewed;
        let Manifest { begin, files, file_bytes, problems, problems_left_out, .. } = manifest;
        let (house, former_house) = (house.id.to_string(), begin.house);
        Ok(Restored {
            house,
            former_house,
            rows,
            files,
            file_bytes,
            fence,
            ended,
            revoked,
            problems,
            problems_left_out,
        })
    }

    /// Reads all of the archive once, before anything is made.
    async fn checked(&self, say: &Say) -> Result<Manifest, Failed> {
        let archive = |error| Failed::archive(&self.archive, error);
        let begin = begin(&self.archive).map_err(archive)?;
        refuse_newer(&begin)?;
        let (path, shared) = (self.archive.clone(), self.shared.clone());
        let checking = spawn_blocking(move || check(&path, &mut |read| shared.read.store(read, Relaxed)));
        self.watched("checking the archive", checking, say).await?.map_err(archive)
    }

    /// Rows and files, side by side.
    async fn fill(&self, empty: &mut Empty, manifest: &Manifest, say: &Say) -> Result<u64, Failed> {
        let (sender, mut rows) = mpsc::channel(WAITING);
        let (path, root, shared) = (self.archive.clone(), self.store.clone(), self.shared.clone());
        self.shared.read.store(0, Relaxed);
        let unpacking = spawn_blocking(move || unpack(&path, &root, sender, &shared));
        let unpacked = self.watched("restoring", unpacking, say);
        let loaded = async {
            let loaded = load::load(&mut empty.conn, manifest, &mut rows).await;
            if loaded.is_err() {
                // Nobody waits for the rest.
                rows.close();
                self.stop();
            }
            loaded
        };
        let (unpacked, loaded) = tokio::join!(unpacked, loaded);
        let read = match (unpacked?, loaded) {
            // It stopped because the other did.
            (Err(ArchiveError::Stopped(_)), Err(failed)) => return Err(failed),
            (Err(error), _) => return Err(Failed::archive(&self.archive, error)),
            (Ok(read), loaded) => (read, loaded?),
        };
        if read.0 != *manifest {
            return Err(Failed::temporary("the archive was exchanged while it was read; nothing of it is used"));
        }
        Ok(read.1)
    }

    async fn renew(&self, empty: &mut Empty, begin: &Begin) -> Result<Renewed, Failed> {
        rows::begin(&mut empty.conn).await?;
        let fence = self.shared.fence.load(Relaxed);
        let renewed = renew::renew(&mut empty.conn, begin.taken_at, fence, self.keep_tokens).await?;
        rows::commit(&mut empty.conn).await?;
        Ok(renewed)
    }

    /// Waits for what reads the archive, for as long as it goes on.
    async fn watched<T>(&self, what: &str, task: tokio::task::JoinHandle<T>, say: &Say) -> Result<T, Failed> {
        let total = fs::metadata(&self.archive).map_or(0, |meta| meta.len());
        let mut task = std::pin::pin!(task);
        let mut look = interval(LOOK_EVERY);
        let (mut seen, mut since) = (u64::MAX, tokio::time::Instant::now());
        loop {
            tokio::select! {
                done = &mut task => return Ok(done?),
                _ = look.tick() => {}
            }
            let read = self.shared.read.load(Relaxed);
            if read != seen {
                (seen, since) = (read, tokio::time::Instant::now());
            } else if since.elapsed() > SILENT {
                self.stop();
                let _ = timeout(LOOK_EVERY, &mut task).await;
                return Err(Failed::temporary(format!(
                    "{what}: the disks, or the database, have not answered for {} s",
                    SILENT.as_secs()
                )));
            }
            say.progress(what, read, total);
        }
    }
}

fn refuse_newer(begin: &Begin) -> Result<(), Failed> {
    let known = known_version();
    if begin.schema <= known {
        return Ok(());
    }
    Err(Failed::refused(format!(
        "the archive has schema version {}, written by tandem {}, and this program knows versions up to {known}: restore it with that \
         version of tandem, or a newer one. Nothing was changed",
        begin.schema, begin.program
    )))
}

/// A folder that holds anything may be another house's.
fn refuse_used(store: &Path) -> Result<(), Failed> {
    let used = |why: String| Failed::refused(format!("cannot restore files into {}: {why}", store.display()));
    match fs::read_dir(store) {
        Ok(mut entries) => match entries.next() {
            None => Ok(()),
            Some(_) => Err(used("it is not empty; name a new folder. Nothing was changed".to_owned())),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(used(error.to_string())),
    }
}

fn make(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o755).create(folder)
}
