//! Takes curves and files as they arrive. Files wait where a coordinator that is killed leaves them to be swept; curves are held, which is
//! bounded.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Write},
    mem,
    time::Duration,
    vec::IntoIter,
};

use sha2::{Digest, Sha256};
use tandem_domain::local::{CURVES_MAX, POINTS_MAX};
use tandem_durable::{Mode, NewFile};
use tandem_proto::v1::{self, import_request::Message};
use tokio::time::timeout;
use tokio_stream::{Stream, StreamExt};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::checked::{Import, WantedFile, arriving_folder, stored_folder};
use crate::{
    datasets::away,
    error::{Error, Result},
    report::batch::{NAME_BYTES_MAX, short},
    store::{Store, signed},
    store_folder::{StoreFolder, step, step_within},
};

/// The longest wait for the next message.
pub(super) const MESSAGE_WITHIN: Duration = Duration::from_secs(60);
/// To force a large file to a disk that others use.
const SYNC_WITHIN: Duration = Duration::from_secs(120);

/// Where an import arrives.
#[derive(Clone, Debug)]
pub(crate) struct House {
    pub(crate) store: Store,
    pub(crate) folder: StoreFolder,
    pub(crate) closing: CancellationToken,
}

/// The curves of each job, in the order of the file: steps and values by name.
pub(super) type Curves = Vec<BTreeMap<String, Vec<(i64, f64)>>>;

pub(super) struct Arrived {
    pub(super) curves: Curves,
}

/// All files of `import` have arrived when it returns, and wait to be put where they stay.
pub(super) async fn take(
    house: &House,
    import: &Import,
    mut messages: impl Stream<Item = Result<Message>> + Unpin,
) -> Result<Arrived> {
    let mut curves = vec![BTreeMap::new(); import.jobs.len()];
    let mut points = 0;
    let in_order = import.sent.iter().filter_map(|&place| import.jobs.get(place));
    let wanted = in_order.flat_map(|job| job.files.iter().map(|file| (job.id, file.clone())));
    let mut wanted = wanted.collect::<Vec<_>>().into_iter();
    let mut arriving = open_next(&house.folder, &mut wanted).await?;
    loop {
        let message = tokio::select! {
            message = timeout(MESSAGE_WITHIN, messages.next()) => message,
            () = house.closing.cancelled() => return Err(Error::ShuttingDown),
        };
        match message.map_err(|_| nothing_arrived())? {
            Some(message) => match message? {
                Message::Begin(_) | Message::Job(_) => return Err(Error::Invalid("it began twice".to_owned())),
                Message::Points(part) => add(&mut curves, &mut points, import, part)?,
                Message::Chunk(chunk) => {
                    let Some(file) = arriving.as_mut() else {
                        return Err(Error::Invalid("more bytes arrived than the files have".to_owned()));
                    };
                    file.write(&house.folder, chunk).await?;
                    if file.missing() == 0 {
                        finish(&house.folder, arriving.take()).await?;
                        arriving = open_next(&house.folder, &mut wanted).await?;
                    }
                }
            },
            None => match arriving {
                Some(file) => return Err(Error::Invalid(format!("it ended within {}", file.wanted.name))),
                None => return Ok(Arrived { curves }),
            },
        }
    }
}

pub(super) fn nothing_arrived() -> Error {
    Error::StoreAway(format!("nothing arrived within {MESSAGE_WITHIN:?}"))
}

fn add(curves: &mut Curves, points: &mut usize, import: &Import, part: v1::ImportPoints) -> Result<()> {
    let v1::ImportPoints { job, metric, steps, values } = part;
    let place = usize::try_from(job).ok().and_then(|job| import.sent.get(job));
    let Some(curves) = place.and_then(|place| curves.get_mut(*place)) else {
        return Err(Error::Invalid(format!("points of job {job}, of {}", import.sent.len())));
    };
    if steps.is_empty() || steps.len() != values.len() || metric.is_empty() {
        let counts = format!("{} steps and {} values", steps.len(), values.len());
        return Err(Error::Invalid(format!("{counts} of the metric `{metric}`: expected as many, and a name")));
    }
    *points += steps.len();
    if *points > POINTS_MAX {
        return Err(Error::Refused(format!(
            "its curves have more than {POINTS_MAX} points, which is the most that is brought in at once"
        )));
    }
    let metric = short(&metric, NAME_BYTES_MAX);
    if curves.len() == CURVES_MAX && !curves.contains_key(&metric) {
        return Err(Error::Refused(format!("a job has more than {CURVES_MAX} curves")));
    }
    let curve = curves.entry(metric).or_default();
    curve.extend(steps.into_iter().map(signed).zip(values));
    Ok(())
}

/// A file that arrives.
struct Arriving {
    name: String,
    wanted: WantedFile,
    file: Option<NewFile>,
    hasher: Sha256,
    length: u64,
}

impl Arriving {
    fn missing(&self) -> u64 {
        self.wanted.bytes - self.length
    }

    async fn write(&mut self, folder: &StoreFolder, chunk: Vec<u8>) -> Result<()> {
        let count = chunk.len() as u64;
        if count == 0 || count > self.missing() {
            let (name, missing) = (&self.wanted.name, self.missing());
            let why = format!("{count} bytes arrived for {name}, of which {missing} are missing");
            return Err(Error::Invalid(why));
        }
        let Some(mut file) = self.file.take() else { return Err(Error::Bug(format!("{} is not open", self.name))) };
        let mut hasher = mem::take(&mut self.hasher);
        let written = step(move || {
            file.write_all(&chunk)?;
            hasher.update(&chunk);
            Ok((file, hasher))
        });
        let (file, hasher) = written.await.map_err(|error| away(folder, &format!("write {}", self.name), &error))?;
        (self.file, self.hasher) = (Some(file), hasher);
        self.length += count;
        Ok(())
    }
}

/// The next one that has bytes; those that have none are done with.
async fn open_next(folder: &StoreFolder, wanted: &mut IntoIter<(Uuid, WantedFile)>) -> Result<Option<Arriving>> {
    for (job, file) in wanted.by_ref() {
        let name = format!("{}/{}", arriving_folder(job), file.name);
        let path = folder.root.join(&name);
        let opened = step(move || {
            path.parent().map_or(Ok(()), fs::create_dir_all)?;
            NewFile::create(&path, Mode::Shared)
        });
        let opened = opened.await.map_err(|error| away(folder, &format!("write {name}"), &error))?;
        let arriving = Arriving { name, wanted: file, file: Some(opened), hasher: Sha256::new(), length: 0 };
        if arriving.missing() > 0 {
            return Ok(Some(arriving));
        }
        finish(folder, Some(arriving)).await?;
    }
    Ok(None)
}

/// Puts a whole file in its place, forced to disk.
async fn finish(folder: &StoreFolder, arrived: Option<Arriving>) -> Result<()> {
    let Some(Arriving { name, wanted, file: Some(file), hasher, .. }) = arrived else { return Ok(()) };
    let found = format!("{:x}", hasher.finalize());
    if found != wanted.sha256 {
        let why = format!("what arrived of {} has the SHA-256 {found}, expected {}", wanted.name, wanted.sha256);
        return Err(Error::Invalid(why));
    }
    step_within(SYNC_WITHIN, move || file.replace())
        .await
        .map_err(|error| away(folder, &format!("write {name}"), &error))
}

/// Puts all files where they stay.
pub(super) async fn keep(folder: &StoreFolder, import: &Import) -> Result<()> {
    for job in import.jobs.iter().filter(|job| !job.files.is_empty()) {
        let stays = stored_folder(job.id);
        let (from, to) = (folder.root.join(arriving_folder(job.id)), folder.root.join(&stays));
        let kept = step(move || {
            let parent = to.parent().ok_or(io::ErrorKind::InvalidInput)?;
            fs::create_dir_all(parent)?;
            fs::rename(&from, &to)?;
            tandem_durable::sync_folder(parent)
        });
        kept.await.map_err(|error| away(folder, &format!("put files into {stays}"), &error))?;
    }
    Ok(())
}

/// Nothing stays of what was not brought in. What cannot be removed now belongs to no job, and is said in the log.
pub(super) async fn forget(folder: &StoreFolder, import: &Import) {
    for job in import.jobs.iter().filter(|job| !job.files.is_empty()) {
        let places = [arriving_folder(job.id), format!("jobs/{}", job.id)].map(|place| folder.root.join(place));
        for place in places {
            let removed = step(move || match fs::remove_dir_all(place) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            });
            if let Err(error) = removed.await {
                tracing::warn!(%error, job = %job.id, "files of an import that broke off stay in the store");
            }
        }
    }
}
