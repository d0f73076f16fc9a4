//! A backup, from its beginning to the archive's name.

use std::{
    path::Path,
    sync::atomic::Ordering::Relaxed,
    time::{Duration, Instant},
};

use tandem_archive::{Manifest, Taken};
use tokio::{
    task::{JoinHandle, spawn_blocking},
    time::{interval, timeout},
};
use uuid::Uuid;

use super::{
    failed::Failed,
    files, keeping,
    rows::{self, Dumped},
    say::Say,
    work::{LOOK_EVERY, Work},
};
use crate::store::Store;

/// A disk that takes or gives nothing for so long does not answer.
const SILENT: Duration = Duration::from_secs(120);

/// Takes a backup of a house, which may run meanwhile. `snapshot`: the longest that the database is to keep what is changed meanwhile.
pub(crate) async fn take(
    store: &Store,
    root: &Path,
    work: &Work,
    snapshot: Duration,
    say: &Say,
) -> Result<Taken, Failed> {
    if !root.is_dir() {
        let root = root.display();
        return Err(Failed::refused(format!(
            "{root} is no folder: expected the store that the coordinator has as --store"
        )));
    }
    let id = Uuid::new_v4();
    keeping::begin(store, id, &work.out.display().to_string()).await?;
    let taken = tokio::select! {
        taken = all(store, root, work, snapshot, say) => taken,
        why = keeping::renew(store, id) => Err(why),
        () = work.stopped() => Err(Failed::temporary("the backup was stopped; nothing of it is left".to_owned())),
    };
    if taken.is_err() {
        work.stop();
    }
    keeping::end(store, id).await;
    taken
}

async fn all(store: &Store, root: &Path, work: &Work, snapshot: Duration, say: &Say) -> Result<Taken, Failed> {
    let began = Instant::now();
    let mut conn = store.owner().await?;
    let dumped = timeout(snapshot, rows::dump(&mut conn, work, snapshot, say)).await;
    let dumped = dumped.map_err(|_| too_long(snapshot))??;
    drop(conn);
    let Dumped { writer, begin, tables, sequences, partitions, named, named_bytes, snapshot } = dumped;
    let rows = tables.iter().map(|table| table.rows).sum();
    let before = work.written.load(Relaxed);
    let copying = {
        let (root, work) = (root.to_owned(), work.clone());
        spawn_blocking(move || files::copy(writer, named, &root, &work))
    };
    let copied = watched(copying, work, |written| {
        say.progress("copying files", written.saturating_sub(before), named_bytes);
    });
    let copied = copied.await?.map_err(|error| Failed::write(&work.out, &error))?;
    let (files, file_bytes, problems) = (copied.files, copied.bytes, copied.problems);
    let problems_left_out = copied.problems_left_out;
    let (house, schema) = (begin.house.clone(), begin.schema);
    let manifest = Manifest { begin, tables, sequences, partitions, files, file_bytes, problems, problems_left_out };
    let tables = manifest.tables.len() as u64;
    let problems = manifest.problems.clone();
    let finishing = spawn_blocking(move || copied.writer.finish(&manifest));
    // The disk may have much to take in at the end.
    let bytes = timeout(SILENT * 5, finishing).await.map_err(|_| silent())??;
    let bytes = bytes.map_err(|error| Failed::write(&work.out, &error))?;
    Ok(Taken {
        file: work.out.display().to_string(),
        house,
        schema,
        bytes,
        tables,
        rows,
        files,
        file_bytes,
        snapshot_seconds: snapshot.as_secs_f64(),
        seconds: began.elapsed().as_secs_f64(),
        problems,
        problems_left_out,
    })
}

/// Waits for what reads and writes, for as long as it goes on.
async fn watched<T>(task: JoinHandle<T>, work: &Work, mut progress: impl FnMut(u64)) -> Result<T, Failed> {
    let mut task = std::pin::pin!(task);
    let mut look = interval(LOOK_EVERY);
    let (mut seen, mut since) = (0, Instant::now());
    loop {
        tokio::select! {
            done = &mut task => return Ok(done?),
            _ = look.tick() => {}
        }
        let written = work.written.load(Relaxed);
        let now = written + work.looked.load(Relaxed);
        if now != seen {
            (seen, since) = (now, Instant::now());
        } else if since.elapsed() > SILENT {
            return Err(silent());
        }
        progress(written);
    }
}

fn too_long(limit: Duration) -> Failed {
    Failed::temporary(format!(
        "reading the database took longer than {} s, for which it would have kept what is changed meanwhile; nothing of it is left. \
         --snapshot-limit gives it longer, which costs a busy house more",
        limit.as_secs()
    ))
}

fn silent() -> Failed {
    Failed::temporary(format!(
        "the store, or the disk of the archive, has not answered for {} s: look at it; nothing of the backup is left",
        SILENT.as_secs()
    ))
}
