//! Which images a job is submitted with, from what the workers say that they see.

use std::{
    collections::{BTreeMap, HashMap},
    time::{Duration, Instant},
};

use tandem_domain::{
    LEARN_VERSION,
    images::{Announced, Choice, SeenDataset, choose},
    plan::Plan,
    spec::Dataset,
    timing::DATA_LOOK,
};
use tandem_proto::v1;
use tokio::time::sleep;

use crate::{
    error::Result,
    report::batch::{NAME_BYTES_MAX, short},
    store::{Store, datasets, workers},
};

/// More data sets in one folder than people have: each pass of the scheduler reads those of all workers.
const DATASETS_MAX: usize = 500;
/// Enough to name a file and what is wrong with it.
const PROBLEM_BYTES_MAX: usize = 500;
/// How long a submit waits for workers that are about to say which data sets they see.
const WAIT: Duration = Duration::from_secs(10);
/// A data set that no worker has may have been put there a moment ago: they look every [`DATA_LOOK`].
const SETTLE: Duration = Duration::from_secs(2 * DATA_LOOK.as_secs() + 1);
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// What a worker says, as it is stored.
pub(crate) fn announced(datasets: v1::Datasets) -> Announced {
    let seen = datasets.datasets.into_iter().take(DATASETS_MAX).map(|seen| SeenDataset {
        name: short(&seen.name, NAME_BYTES_MAX),
        sha256: short(&seen.sha256, NAME_BYTES_MAX),
        stored: short(&seen.stored, NAME_BYTES_MAX),
        problem: short(&seen.problem, PROBLEM_BYTES_MAX),
        ..seen.into()
    });
    Announced { complete: datasets.complete, datasets: seen.collect() }
}

/// Makes the images that the workers see part of the plan, and refuses jobs on images that none of them has. Returns what a
/// person should know.
pub(crate) async fn add_images(store: &Store, plan: &mut Plan) -> Result<Vec<String>> {
    let wanted: BTreeMap<String, Dataset> =
        plan.jobs.iter().map(|job| (job.spec.dataset.to_string(), job.spec.dataset.clone())).collect();
    let (choices, stored) = choices(store, &wanted).await?;
    let (mut known, mut notes) = (HashMap::new(), Vec::new());
    for (name, choice) in choices {
        match choice {
            Choice::Known { images, note } => {
                known.insert(name, images);
                notes.extend(note);
            }
            Choice::Unknown { note } => notes.extend(note),
            Choice::NotYet if stored.contains_key(&name) => refuse(
                plan,
                &name,
                &format!("`{name}` was put into the store, and no worker has read it yet: submit again in a moment"),
            ),
            Choice::NotYet => notes.push(format!(
                "no worker has said within {} s whether it has `{name}`: the checksum of its images is not part of the job",
                WAIT.as_secs()
            )),
            Choice::Refused(reason) => refuse(plan, &name, &reason),
        }
    }
    plan.set_images(&known, LEARN_VERSION);
    Ok(notes)
}

fn refuse(plan: &mut Plan, dataset: &str, reason: &str) {
    let jobs = plan.jobs.iter_mut().filter(|job| job.spec.dataset.to_string() == dataset);
    jobs.for_each(|job| job.refusal = job.refusal.take().or(Some(reason.to_owned())));
}

/// What is chosen for each, and the files in the store, by the names of their data sets.
async fn choices(
    store: &Store,
    wanted: &BTreeMap<String, Dataset>,
) -> Result<(BTreeMap<String, Choice>, HashMap<String, String>)> {
    let began = Instant::now();
    loop {
        let mut conn = store.reader().await?;
        let (seen, rows) = (workers::announcements(&mut conn).await?, datasets::list(&mut conn, None).await?);
        drop(conn);
        let stored: HashMap<String, String> = rows
            .into_iter()
            .filter(|row| row.stored_at.is_some())
            .map(|row| (format!("folder:{}", row.name), row.sha256))
            .collect();
        let chosen = |name: &String, dataset| choose(dataset, stored.get(name).map(String::as_str), &seen);
        let choices: BTreeMap<String, Choice> =
            wanted.iter().map(|(name, dataset)| (name.clone(), chosen(name, dataset))).collect();
        let is_settled = |choice: &Choice| match choice {
            Choice::Known { .. } | Choice::Unknown { .. } => true,
            Choice::Refused(_) => began.elapsed() >= SETTLE,
            Choice::NotYet => began.elapsed() >= WAIT,
        };
        if choices.values().all(is_settled) {
            return Ok((choices, stored));
        }
        sleep(LOOK_EVERY).await;
    }
}
