//! Takes an experiment file: it is checked and stored as a whole, or refused and nothing is stored.

use std::{collections::HashMap, time::Duration};

use tandem_domain::{
    LEARN_VERSION,
    access::identity::Person,
    facts::Facts,
    plan::{Plan, PlannedJob, checked_priority, fresh_key, plan},
    policy::HousePolicy,
    spec::JobSpec,
    state::JobState,
};
use tokio::{sync::Semaphore, task::spawn_blocking};
use uuid::Uuid;

use crate::{
    error::{Error, Result},
    estimate::{Speeds, TimeEstimate},
    keeping::quota,
    refuse::{add_refusals, refusals},
    sharing::{
        limited::{go_on_longer, too_slow},
        pause, policy,
        requeue::take_up,
    },
    store::{
        Conn, Store, archive,
        audit::{self, Entry},
        clean, dependencies,
        events::{self, About},
        experiments::{self, Experiment, Link},
        facts,
        jobs::{self, NewJob},
        notify::{Topic, notify},
        retry, times, used,
    },
};

/// The longest idempotency key: it is in an index.
const KEY_BYTES_MAX: usize = 200;

#[derive(Clone, Debug)]
pub(crate) struct Submission {
    pub(crate) toml: String,
    pub(crate) file_name: String,
    pub(crate) dry_run: bool,
    pub(crate) fresh: bool,
    /// As the token or the socket says.
    pub(crate) by: Person,
    /// Empty if the client does not retry.
    pub(crate) idempotency_key: String,
    /// In place of the file's priority.
    pub(crate) priority: Option<i32>,
    /// The longest that a job of it may train.
    pub(crate) max_time: Option<Duration>,
}

#[derive(Clone, Debug)]
pub(crate) struct Submitted {
    /// `None` on a dry run; so are the ids of its jobs.
    pub(crate) experiment: Option<Uuid>,
    pub(crate) name: String,
    pub(crate) priority: i32,
    pub(crate) jobs: Vec<SubmittedJob>,
    /// What a person should know.
    pub(crate) notes: Vec<String>,
}

#[derive(Clone, Debug)]
pub(crate) struct SubmittedJob {
    pub(crate) id: Option<Uuid>,
    pub(crate) planned: PlannedJob,
    /// What the job that is used in place of a new one does now.
    pub(crate) reused: Option<JobState>,
    /// Estimated on a dry run only.
    pub(crate) time: TimeEstimate,
}

/// Checks the file and stores it, unless it is a dry run.
///
/// # Errors
/// `Invalid` for a wrong file (the message has line and column), `Refused` for one that cannot run here, `Conflict` for
/// an idempotency key that was used with another file.
pub(crate) async fn submit(store: &Store, submission: &Submission) -> Result<Submitted> {
    check_key(&submission.idempotency_key)?;
    let mut plan = planned(submission.toml.clone(), submission.file_name.clone()).await?;
    if let Some(priority) = submission.priority {
        plan.priority = checked_priority(priority).map_err(Error::Invalid)?;
    }
    if submission.dry_run {
        return dry_run(store, submission, plan).await;
    }
    let experiment = Experiment {
        id: Uuid::new_v4(),
        name: plan.name.clone(),
        owner: submission.by.name.clone(),
        toml: submission.toml.clone(),
        file_name: clean(&submission.file_name),
        fresh: submission.fresh,
        priority: plan.priority,
        idempotency_key: Some(clean(&submission.idempotency_key)).filter(|key| !key.is_empty()),
        created_at: chrono::DateTime::UNIX_EPOCH,
    };
    if let Some(key) = &experiment.idempotency_key
        && let Some(known) = repeated(store, key).await?
    {
        return answer_repeated(submission, plan, &known);
    }
    let mut notes = check_runnable(store, submission, &mut plan).await?;
    let stored = with_keys(plan.clone(), &experiment);
    match retry(|| insert(store, submission, &experiment, &stored)).await? {
        Some((links, more)) => {
            notes.extend(more);
            let states = states_of(&mut *store.reader().await?, &links).await?;
            Ok(Submitted { notes, ..answer(stored, &Known { experiment, links, states }) })
        }
        // The same submit was sent twice at the same time, and the other one was first.
        None => {
            let key = experiment.idempotency_key.as_deref().unwrap_or_default();
            let known = repeated(store, key).await?;
            let known = known.ok_or_else(|| Error::Conflict(format!("submit {key} was refused elsewhere")))?;
            answer_repeated(submission, plan, &known)
        }
    }
}

/// Files that are planned at a time. It is work for a processor, and a thread that does it answers nobody.
static PLANNING: Semaphore = Semaphore::const_new(2);

/// Plans a file. `file_name` is for messages.
pub(crate) async fn planned(toml: String, file_name: String) -> Result<Plan> {
    let turn = PLANNING.acquire().await.map_err(|error| Error::Bug(error.to_string()))?;
    let planned = spawn_blocking(move || {
        // Its turn lasts until it has ended, although its client may have gone.
        let _held = turn;
        plan(&toml, &file_name, LEARN_VERSION)
    });
    let planned = planned.await.map_err(|error| Error::Bug(format!("cannot plan the experiment: {error}")))?;
    planned.map_err(|error| Error::Invalid(error.to_string()))
}

fn check_key(key: &str) -> Result<()> {
    if key.len() <= KEY_BYTES_MAX {
        return Ok(());
    }
    let message = format!("the idempotency key has {} bytes; expected at most {KEY_BYTES_MAX}", key.len());
    Err(Error::Invalid(message))
}

async fn dry_run(store: &Store, submission: &Submission, mut plan: Plan) -> Result<Submitted> {
    let mut notes = add_refusals(store, &submission.by, submission.max_time, &mut plan).await?;
    let fresh = submission.fresh;
    let mut conn = store.reader().await?;
    let (_, house) = policy::current(&mut conn).await?;
    match quota::check(&mut conn, &house.limits_of(&submission.by.name), &submission.by.name).await {
        Err(Error::Refused(why)) => notes.push(format!("it would be refused: {why}")),
        other => other?,
    }
    let mut speeds = Speeds::of_fleet(&mut conn).await?;
    notes.extend(too_slow(&mut conn, &submission.by.name, submission.max_time, &plan).await?);
    let mut jobs = Vec::new();
    for planned in plan.jobs {
        let mut reused = None;
        for key in keys(&planned).filter(|_| !fresh) {
            reused = reused.or(jobs::state_by_content(&mut conn, key).await?);
        }
        let time = speeds.estimate(&mut conn, &planned).await?;
        jobs.push(SubmittedJob { id: None, planned, reused, time });
    }
    Ok(Submitted { experiment: None, name: plan.name, priority: plan.priority, jobs, notes })
}

/// An experiment that is stored, and what the jobs do that it shares.
struct Known {
    experiment: Experiment,
    links: Vec<Link>,
    states: HashMap<Uuid, JobState>,
}

/// The experiment that was submitted with this key before.
async fn repeated(store: &Store, key: &str) -> Result<Option<Known>> {
    let mut conn = store.reader().await?;
    let Some(experiment) = experiments::by_idempotency_key(&mut conn, key).await? else { return Ok(None) };
    if experiments::is_deleted(&mut conn, experiment.id).await? {
        return Err(Error::Conflict(format!(
            "experiment `{}` of idempotency key {key} has been deleted since; a new submit needs a new key",
            experiment.name
        )));
    }
    let links = experiments::links(&mut conn, experiment.id).await?;
    let states = states_of(&mut conn, &links).await?;
    Ok(Some(Known { experiment, links, states }))
}

async fn states_of(conn: &mut Conn, links: &[Link]) -> Result<HashMap<Uuid, JobState>> {
    let reused: Vec<Uuid> = links.iter().filter(|link| link.reused).map(|link| link.job_id).collect();
    if reused.is_empty() { Ok(HashMap::new()) } else { Ok(jobs::states(conn, &reused).await?) }
}

/// Answers a submit that was stored before.
fn answer_repeated(submission: &Submission, plan: Plan, known: &Known) -> Result<Submitted> {
    if known.experiment.owner != submission.by.name {
        let key = &submission.idempotency_key;
        return Err(Error::Conflict(format!(
            "idempotency key {key} was used by somebody else; a new submit needs a new key"
        )));
    }
    if known.experiment.toml != submission.toml {
        return Err(Error::Conflict(format!(
            "idempotency key {} was used for another file (experiment `{}`); a new submit needs a new key",
            submission.idempotency_key, known.experiment.name
        )));
    }
    Ok(answer(with_keys(plan, &known.experiment), known))
}

fn answer(plan: Plan, known: &Known) -> Submitted {
    let by_name: HashMap<&str, &Link> = known.links.iter().map(|link| (link.name.as_str(), link)).collect();
    let jobs = plan.jobs.into_iter().map(|mut planned| {
        let link = by_name.get(planned.spec.name.as_str());
        if let Some(link) = link {
            planned.content_key.clone_from(&link.content_key);
        }
        let id = link.map(|link| link.job_id);
        let reused = id.and_then(|id| known.states.get(&id).copied());
        SubmittedJob { id, planned, reused, time: TimeEstimate::default() }
    });
    let (experiment, priority) = (Some(known.experiment.id), known.experiment.priority);
    Submitted { experiment, name: plan.name, priority, jobs: jobs.collect(), notes: Vec::new() }
}

/// The plan with the content keys that the experiment stores: those of a fresh experiment match no other job's.
pub(crate) fn with_keys(mut plan: Plan, experiment: &Experiment) -> Plan {
    if experiment.fresh {
        let salt = experiment.id.to_string();
        for job in &mut plan.jobs {
            job.content_key = fresh_key(&job.content_key, &salt);
            job.key_without_images = None;
        }
    }
    plan
}

/// The keys under which a job of this content may be stored.
fn keys(job: &PlannedJob) -> impl Iterator<Item = &str> {
    [Some(&job.content_key), job.key_without_images.as_ref()].into_iter().flatten().map(String::as_str)
}

async fn check_runnable(store: &Store, submission: &Submission, plan: &mut Plan) -> Result<Vec<String>> {
    let notes = add_refusals(store, &submission.by, submission.max_time, plan).await?;
    match refusals(plan).as_slice() {
        [] => {
            let slow = too_slow(&mut *store.reader().await?, &submission.by.name, submission.max_time, plan).await?;
            Ok(notes.into_iter().chain(slow).collect())
        }
        refusals => Err(Error::Refused(refusals.join("\n"))),
    }
}

/// Stores everything in one transaction; `None` if the idempotency key is known. With what a person should know.
async fn insert(
    store: &Store,
    submission: &Submission,
    experiment: &Experiment,
    plan: &Plan,
) -> Result<Option<(Vec<Link>, Vec<String>)>> {
    let by = &submission.by;
    let mut tx = store.begin().await?;
    let (_, house) = policy::current(&mut tx).await?;
    let limits = house.limits_of(&by.name);
    limits.may_take(submission.max_time).map_err(Error::Forbidden)?;
    quota::check(&mut tx, &limits, &by.name).await?;
    if !experiments::insert(&mut tx, experiment).await? {
        return Ok(None);
    }
    let (links, taken_up) = insert_jobs(&mut tx, experiment, plan, submission.max_time, &house).await?;
    let ids: HashMap<&str, Uuid> = links.iter().map(|link| (link.name.as_str(), link.job_id)).collect();
    facts::put(&mut tx, &facts_of(plan, &links)).await?;
    for (position, (link, job)) in (0..).zip(links.iter().zip(&plan.jobs)) {
        experiments::link(&mut tx, experiment.id, position, link).await?;
        let (kind, message) = submitted_event(experiment, job, link.reused);
        events::append(&mut tx, About::job(link.job_id), kind, &message).await?;
        if !link.reused || taken_up.contains(&link.job_id) {
            let inputs: Vec<Uuid> = job.spec.inputs.iter().filter_map(|name| ids.get(name.as_str()).copied()).collect();
            dependencies::replace(&mut tx, link.job_id, &inputs).await?;
            if !inputs.is_empty() {
                dependencies::set_due(&mut tx, link.job_id).await?;
            }
        }
    }
    let shared: Vec<Uuid> = links.iter().filter(|link| link.reused).map(|link| link.job_id).collect();
    let brought = (links.len() - shared.len()) as u64;
    limits
        .may_queue(&by.name, used::waiting(&mut tx, &by.name).await?.saturating_sub(brought), brought)
        .map_err(Error::Refused)?;
    // What others have paused is wanted now, and what they have archived is seen again.
    pause::settle(&mut tx, &shared).await?;
    archive::settle(&mut tx, &shared).await?;
    let notes = go_on_longer(&mut tx, &shared, &links, submission.max_time, &house).await?;
    let object = format!("{} {}", experiment.name, experiment.id);
    audit::append(&mut tx, &[Entry::done(by, "Jobs/Submit", object, &experiment.owner)]).await?;
    notify(&mut tx, &[Topic::Schedule, Topic::Watch]).await?;
    tx.commit().await?;
    tracing::info!(experiment = %experiment.id, name = experiment.name, owner = experiment.owner, jobs = links.len(), "submitted");
    Ok(Some((links, notes)))
}

/// Stores the new jobs and finds those that exist already; returns the links in the order of the plan, and those that were
/// cancelled before and are taken up again.
async fn insert_jobs(
    tx: &mut Conn,
    experiment: &Experiment,
    plan: &Plan,
    max_time: Option<Duration>,
    house: &HousePolicy,
) -> Result<(Vec<Link>, Vec<Uuid>)> {
    // Submits of the same content wait for each other's rows: one order for all avoids deadlocks.
    let mut in_order: Vec<(i32, &PlannedJob)> = (0..).zip(&plan.jobs).collect();
    in_order.sort_by(|(_, a), (_, b)| a.content_key.cmp(&b.content_key));
    let mut links: HashMap<&str, Link> = HashMap::new();
    let mut taken_up = Vec::new();
    for (position, job) in in_order {
        let new = NewJob {
            id: Uuid::new_v4(),
            experiment: experiment.id,
            spec: &job.spec,
            content_key: &job.content_key,
            priority: plan.priority,
            position,
            work: &job.work,
            gflop: job.estimate.gflop,
            images: job.images.as_deref(),
            max_seconds: max_time.map(|time| time.as_secs_f64()),
        };
        let link = insert_or_share(tx, experiment, &new, job, house, &mut taken_up).await?;
        links.insert(&job.spec.name, link);
    }
    Ok((plan.jobs.iter().filter_map(|job| links.remove(job.spec.name.as_str())).collect(), taken_up))
}

async fn insert_or_share(
    tx: &mut Conn,
    experiment: &Experiment,
    new: &NewJob<'_>,
    job: &PlannedJob,
    house: &HousePolicy,
    taken_up: &mut Vec<Uuid>,
) -> Result<Link> {
    let link =
        |job_id, key: &str, reused| Link { name: job.spec.name.clone(), job_id, content_key: key.to_owned(), reused };
    let priority = new.priority;
    if let Some(key) = &job.key_without_images
        && let Some(id) = jobs::share(tx, key, priority).await?
    {
        times::share(tx, id, new.max_seconds).await?;
        return Ok(link(id, key, true));
    }
    let asked = new.max_seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    // The existing job may fail before it can be shared; then the insert succeeds.
    for _ in 0..3 {
        if let Some(id) = jobs::share(tx, &job.content_key, priority).await? {
            times::share(tx, id, new.max_seconds).await?;
            return Ok(link(id, &job.content_key, true));
        }
        if let Some(id) = take_up(tx, &job.content_key, &experiment.owner, house, asked).await? {
            jobs::adopt(tx, id, new).await?;
            taken_up.push(id);
            return Ok(link(id, &job.content_key, true));
        }
        if jobs::insert(tx, new).await? {
            return Ok(link(new.id, &job.content_key, false));
        }
    }
    Err(Error::Conflict(format!("job `{}`: jobs of the same content come and go; try again", job.spec.name)))
}

/// The facts of the jobs that it brings.
pub(crate) fn facts_of(plan: &Plan, links: &[Link]) -> Vec<(Uuid, Facts)> {
    let specs: HashMap<&str, &JobSpec> = plan.jobs.iter().map(|job| (job.spec.name.as_str(), &job.spec)).collect();
    let brought = links.iter().zip(&plan.jobs).filter(|(link, _)| !link.reused);
    let facts = brought.map(|(link, job)| {
        let (mut chain, mut seen) = (Vec::new(), 0);
        chain.extend(job.spec.inputs.iter().filter_map(|name| specs.get(name.as_str()).copied()));
        // A job has one input, and stages start from each other three deep at most.
        while let Some(input) = chain.get(seen).copied().filter(|_| seen < 8) {
            chain.extend(input.inputs.iter().filter_map(|name| specs.get(name.as_str()).copied()));
            seen += 1;
        }
        (link.job_id, tandem_domain::facts::facts(&job.spec, &chain))
    });
    facts.collect()
}

fn submitted_event(experiment: &Experiment, job: &PlannedJob, reused: bool) -> (&'static str, String) {
    let Experiment { name, owner, .. } = experiment;
    if reused {
        return ("shared", format!("also wanted by experiment `{name}` of {owner}"));
    }
    let waits = match job.spec.inputs.as_slice() {
        [] => "queued".to_owned(),
        inputs => format!("waits for `{}`", inputs.join("`, `")),
    };
    ("submitted", format!("submitted by {owner} in experiment `{name}`; {waits}"))
}
