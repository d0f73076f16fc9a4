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
    store::{Store, workers},
};

/// More data sets in one folder than people have: each pass of the scheduler reads those of all workers.
const DATASETS_MAX: usize = 100;
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
    let choices = choices(store, &wanted).await?;
    let (mut known, mut notes) = (HashMap::new(), Vec::new());
    for (name, choice) in choices {
        match choice {
            Choice::Known { images, note } => {
                known.insert(name, images);
                notes.extend(note);
            }
            Choice::Unknown { note } => notes.extend(note),
            Choice::NotYet => notes.push(format!(
                "no worker has said within {} s whether it has `{name}`: the checksum of its images is not part of the job",
                WAIT.as_secs()
            )),
            Choice::Refused(reason) => {
                let jobs = plan.jobs.iter_mut().filter(|job| job.spec.dataset.to_string() == name);
                jobs.for_each(|job| job.refusal = job.refusal.take().or(Some(reason.clone())));
            }
        }
    }
    plan.set_images(&known, LEARN_VERSION);
    Ok(notes)
}

async fn choices(store: &Store, wanted: &BTreeMap<String, Dataset>) -> Result<BTreeMap<String, Choice>> {
    let began = Instant::now();
    loop {
        let seen = workers::announcements(&mut *store.reader().await?).await?;
        let choices: BTreeMap<String, Choice> =
            wanted.iter().map(|(name, dataset)| (name.clone(), choose(dataset, &seen))).collect();
        let is_settled = |choice: &Choice| match choice {
            Choice::Known { .. } | Choice::Unknown { .. } => true,
            Choice::Refused(_) => began.elapsed() >= SETTLE,
            Choice::NotYet => began.elapsed() >= WAIT,
        };
        if choices.values().all(is_settled) {
            return Ok(choices);
        }
        sleep(LOOK_EVERY).await;
    }
}
