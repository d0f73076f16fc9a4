//! Runs a job anew, or replays a part of it, as a job of the queue: below all others, and of no content that anybody shares.

use tandem_domain::{
    access::identity::Person,
    plan::{PRIORITY_OF_PROOFS, fresh_key},
    receipt::{Receipt, Replayed, Statement},
};
use uuid::Uuid;

use crate::{
    error::{Error, Result},
    facts::put_of,
    sharing::policy,
    store::{
        Conn, Store,
        audit::{self, Entry},
        events::{self, About},
        experiments::{self, Experiment, Link},
        files, jobs,
        notify::{Topic, notify},
        receipts,
        reproductions::{self, NewReproduction},
        retry, signed, unsigned, used,
    },
    store_folder::{StoreFolder, step},
    store_path::path_in_store,
};

/// Checkpoints that are looked for in the store: no more than the newest are kept.
const LOOKED_AT: i64 = 10;

/// A job that runs another one anew.
#[derive(Clone, Debug)]
pub(crate) struct Again {
    pub(crate) job: Uuid,
    pub(crate) of: Uuid,
    pub(crate) name: String,
    /// It was under way before this request.
    pub(crate) already: bool,
    /// The steps that are replayed; all of it if `None`.
    pub(crate) replayed: Option<Replayed>,
}

/// Queues it, for `by`; what is under way already is not queued twice.
///
/// # Errors
/// `Refused` where there is nothing to compare with, with what to do instead.
pub(crate) async fn again(store: &Store, folder: &StoreFolder, by: &Person, of: Uuid, replay: bool) -> Result<Again> {
    let (original, replayed) = {
        let mut conn = store.reader().await?;
        let original = original(&mut conn, of).await?;
        let replayed = match replay {
            true => Some(steps(&mut conn, folder, &original, of).await?),
            false => None,
        };
        (original, replayed)
    };
    retry(|| queue(store, by, of, &original, replayed)).await
}

/// The receipt of what is to be run anew, as it was signed.
async fn original(conn: &mut Conn, of: Uuid) -> Result<Receipt> {
    let Some(signed) = receipts::get(conn, of).await? else {
        return Err(Error::Refused(format!(
            "there is no receipt of job {of} to compare with: it has not succeeded, or did so before this house kept receipts; \
             `tandem submit --fresh` trains it anew"
        )));
    };
    let statement = Statement::parse(signed.statement.as_bytes());
    let receipt = statement.map_err(|error| Error::Damaged(format!("the receipt of job {of}: {error}")))?.predicate;
    if receipt.job.reproduces.is_some() {
        return Err(Error::Refused(format!("job {of} runs another one anew itself; name that one")));
    }
    Ok(receipt)
}

/// From where to where it is replayed, by the checkpoints whose files are there.
async fn steps(conn: &mut Conn, folder: &StoreFolder, original: &Receipt, of: Uuid) -> Result<Replayed> {
    let mut kept = Vec::new();
    let on_disk = files::kept_steps(conn, of).await?;
    for checkpoint in files::checkpoints(conn, of, LOOKED_AT).await? {
        if !on_disk.contains(&checkpoint.step) {
            continue;
        }
        let Ok(name) = path_in_store(&checkpoint.path, &folder.root) else { continue };
        let path = folder.root.join(name);
        let there = step(move || Ok(path.exists())).await;
        let there =
            there.map_err(|error| Error::StoreAway(format!("cannot look for checkpoints in the store: {error}")))?;
        kept.extend(there.then(|| unsigned(checkpoint.step)));
    }
    let replays = matches!(original.job.stage.as_str(), "contrastive" | "supervised" | "finetune" | "linear");
    let steps = original.steps_to_replay(&kept).filter(|_| replays);
    steps.ok_or_else(|| {
        Error::Refused(format!(
            "no step of job {of} can be replayed: it is of a stage without steps, or wrote no checkpoint to compare with; \
             `tandem reproduce` runs it anew as a whole"
        ))
    })
}

async fn queue(store: &Store, by: &Person, of: Uuid, original: &Receipt, replayed: Option<Replayed>) -> Result<Again> {
    let what = if replayed.is_some() { "verify" } else { "reproduce" };
    let name = format!("{what}-{}", &of.to_string()[..8]);
    let again = |job, already| Again { job, of, name: name.clone(), already, replayed };
    let mut tx = store.begin().await?;
    if let Some(job) = reproductions::under_way(&mut tx, of, replayed.is_some()).await? {
        return Ok(again(job, true));
    }
    // Nobody deletes it, or removes its checkpoints, until this one is there and keeps them from it.
    if jobs::lock(&mut tx, &[of]).await?.is_empty() {
        return Err(Error::NotFound(format!("job {of} is not there any more")));
    }
    if let Some(steps) = replayed.filter(|steps| steps.from_step > 0)
        && !files::kept_steps(&mut tx, of).await?.contains(&signed(steps.from_step))
    {
        return Err(Error::Conflict(format!(
            "the checkpoint of job {of} at step {} has been removed just now; ask again",
            steps.from_step
        )));
    }
    let (_, house) = policy::current(&mut tx).await?;
    let limits = house.limits_of(&by.name);
    let (job, experiment) = (Uuid::new_v4(), Uuid::new_v4());
    let text = format!("# {what} {}/{}, job {of}", original.job.experiment, original.job.name);
    let brought = Experiment {
        id: experiment,
        name: name.clone(),
        owner: by.name.clone(),
        toml: text,
        file_name: String::new(),
        fresh: true,
        priority: PRIORITY_OF_PROOFS,
        idempotency_key: None,
        created_at: chrono::DateTime::UNIX_EPOCH,
    };
    if !experiments::insert(&mut tx, &brought).await? {
        return Err(Error::Bug(format!("the experiment {experiment} is there already")));
    }
    let content_key = fresh_key(&original.key.content_key, &experiment.to_string());
    let replay = replayed.map(|steps| (signed(steps.from_step), signed(steps.until_step)));
    let new =
        NewReproduction { id: job, experiment, of, content_key: &content_key, priority: PRIORITY_OF_PROOFS, replay };
    if !reproductions::insert(&mut tx, &new).await? {
        return Err(Error::Refused(format!("job {of} has not succeeded")));
    }
    let link = Link { name: original.job.name.clone(), job_id: job, content_key: content_key.clone(), reused: false };
    experiments::link(&mut tx, experiment, 0, &link).await?;
    put_of(&mut tx, &[job]).await?;
    let message = match replayed {
        Some(Replayed { from_step, until_step }) => {
            format!("replays steps {from_step} to {until_step} of job {of}, for {}", by.name)
        }
        None => format!("runs job {of} anew, for {}", by.name),
    };
    events::append(&mut tx, About::job(job), "submitted", &message).await?;
    limits.may_queue(&by.name, used::waiting(&mut tx, &by.name).await?.saturating_sub(1), 1).map_err(Error::Refused)?;
    audit::append(&mut tx, &[Entry::done(by, "Results/Reproduce", format!("{name} {job}"), &by.name)]).await?;
    notify(&mut tx, &[Topic::Schedule, Topic::Watch]).await?;
    tx.commit().await?;
    tracing::info!(%job, %of, what, "a job is run anew");
    Ok(again(job, false))
}
