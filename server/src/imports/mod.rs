//! Brings in what `tandem-worker local` has computed, without a house: [`checked`] compares what is sent with the experiment file,
//! [`arrival`] takes curves and files, and [`bring`] stores all of it at once.
//!
//! Nobody here saw it being computed. So its jobs are shared with nobody, as those of a fresh submit; their receipts say where they
//! come from, and `tandem reproduce` runs one of them here.

mod arrival;
mod bring;
mod checked;

use tandem_domain::access::identity::Person;
use tandem_proto::{
    binary::encoded_len,
    v1::{self, import_request::Message},
};
use tokio::time::timeout;
use tokio_stream::{Stream, StreamExt};
use uuid::Uuid;

use crate::{
    datasets::free,
    error::{Error, Result},
    keeping::quota,
    sharing::policy,
    store::{
        Store,
        experiments::{self, Experiment},
    },
    store_folder::StoreFolder,
};
pub(crate) use arrival::House;
use arrival::{Arrived, MESSAGE_WITHIN, nothing_arrived, take};
use checked::{Import, check};

/// Of all jobs together: a thousand of them, with a hundred figures and files each, take a fraction.
const JOBS_BYTES_MAX: usize = 32 << 20;

/// An experiment that was brought in, now or before.
#[derive(Clone, Debug)]
pub(crate) struct Imported {
    pub(crate) experiment: Uuid,
    pub(crate) name: String,
    /// Names and ids, in the order of the file.
    pub(crate) jobs: Vec<(String, Uuid)>,
    pub(crate) present: bool,
}

/// Takes what `begin` says, its jobs, and the messages after them; stores all or nothing.
///
/// # Errors
/// `Invalid` for what does not fit the file or itself, `Refused` for results of another version of training, or of somebody who has
/// too much stored already.
pub(crate) async fn import(
    house: &House,
    by: &Person,
    begin: v1::ImportBegin,
    mut messages: impl Stream<Item = Result<Message>> + Unpin,
) -> Result<Imported> {
    let key = match found(&house.store, by, &begin.sha256).await? {
        Found::There(known) => return Ok(known),
        Found::Free(key) => key,
    };
    seen(&house.folder).await?;
    let jobs = jobs(begin.jobs, &mut messages).await?;
    let sha256 = begin.sha256.clone();
    let import = check(begin, jobs).await?;
    room(house, by, import.bytes()).await?;
    let experiment = Experiment {
        id: Uuid::new_v4(),
        name: import.plan.name.clone(),
        owner: by.name.clone(),
        toml: import.toml.clone(),
        file_name: import.file_name.clone(),
        fresh: true,
        priority: 0,
        idempotency_key: Some(key),
        created_at: chrono::DateTime::UNIX_EPOCH,
    };
    let stored = match take(house, &import, messages).await {
        Ok(arrived) => store(house, by, &experiment, &import, &arrived).await,
        Err(error) => Err(error),
    };
    if let Some(other) = not_stored(house, by, &sha256, experiment.id, &import, stored).await? {
        return Ok(other);
    }
    tracing::info!(experiment = %experiment.id, name = experiment.name, owner = experiment.owner, jobs = import.jobs.len(), "imported");
    let jobs = import.jobs.iter().map(|job| (job.name.clone(), job.id)).collect();
    Ok(Imported { experiment: experiment.id, name: experiment.name, jobs, present: false })
}

async fn store(
    house: &House,
    by: &Person,
    experiment: &Experiment,
    import: &Import,
    arrived: &Arrived,
) -> Result<bool> {
    arrival::keep(&house.folder, import).await?;
    seen(&house.folder).await?;
    bring::bring(&house.store, by, experiment, import, arrived).await
}

/// Where `stored` is not all right: what is there of the same import, which another call was first with; `None` if it is this one, and
/// the answer of the database was lost. Files of what is not there go.
async fn not_stored(
    house: &House,
    by: &Person,
    sha256: &str,
    own: Uuid,
    import: &Import,
    stored: Result<bool>,
) -> Result<Option<Imported>> {
    if matches!(stored, Ok(true)) {
        return Ok(None);
    }
    let may_come = matches!(stored, Err(Error::DatabaseAway(_) | Error::DatabaseSlow(_)));
    let there = match found(&house.store, by, sha256).await {
        Ok(Found::There(known)) if known.experiment == own => return Ok(None),
        Ok(Found::There(known)) => Some(known),
        Ok(Found::Free(_)) if !may_come => None,
        unknown => {
            tracing::warn!(experiment = %own, "it is not known whether an import was stored: its files stay in the store");
            stored?;
            return Err(unknown.err().unwrap_or(Error::ShuttingDown));
        }
    };
    arrival::forget(&house.folder, import).await;
    match there {
        Some(known) => Ok(Some(known)),
        None => {
            stored?;
            Err(Error::Conflict("the same was brought in and deleted meanwhile; try again".to_owned()))
        }
    }
}

async fn seen(folder: &StoreFolder) -> Result<()> {
    folder.is_seen().await.map_err(Error::StoreAway)
}

/// Whether so many bytes have room, in the store and in what the policy allows `by`.
async fn room(house: &House, by: &Person, bytes: u64) -> Result<()> {
    let mut conn = house.store.reader().await?;
    let (_, policy) = policy::current(&mut conn).await?;
    let limits = policy.limits_of(&by.name);
    quota::more(&mut conn, &limits, &by.name, bytes).await?;
    // Nobody holds a connection while bytes arrive.
    drop(conn);
    let free = free(&house.folder).await?;
    if bytes > free {
        let why = format!("its files have {bytes} bytes, and the store has {free} left: an admin has to make room");
        return Err(Error::Full(why));
    }
    Ok(())
}

async fn jobs(
    count: u32,
    messages: &mut (impl Stream<Item = Result<Message>> + Unpin),
) -> Result<Vec<v1::ImportedJob>> {
    let (mut jobs, mut bytes) = (Vec::new(), 0);
    for _ in 0..count {
        let message = timeout(MESSAGE_WITHIN, messages.next()).await.map_err(|_| nothing_arrived())?;
        let Some(Message::Job(job)) = message.transpose()? else {
            return Err(Error::Invalid(format!("{} of {count} jobs arrived before something else", jobs.len())));
        };
        bytes += encoded_len(&*job);
        if bytes > JOBS_BYTES_MAX {
            let why =
                format!("what is said of its jobs, but for curves and files, takes more than {JOBS_BYTES_MAX} bytes");
            return Err(Error::Refused(why));
        }
        jobs.push(*job);
    }
    Ok(jobs)
}

/// What is known of an import.
enum Found {
    There(Imported),
    /// It may be stored under this key: what was before it is deleted.
    Free(String),
}

async fn found(store: &Store, by: &Person, sha256: &str) -> Result<Found> {
    const AGAIN_MAX: usize = 100;
    let mut conn = store.reader().await?;
    for again in 0..AGAIN_MAX {
        let key = format!("import of {} {again}: {sha256}", by.name);
        let Some(known) = experiments::by_idempotency_key(&mut conn, &key).await? else { return Ok(Found::Free(key)) };
        if experiments::is_deleted(&mut conn, known.id).await? {
            continue;
        }
        let links = experiments::links(&mut conn, known.id).await?;
        let jobs = links.into_iter().map(|link| (link.name, link.job_id)).collect();
        return Ok(Found::There(Imported { experiment: known.id, name: known.name, jobs, present: true }));
    }
    Err(Error::Refused(format!("the same was brought in and deleted {AGAIN_MAX} times")))
}
