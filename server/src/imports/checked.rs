//! What is sent must fit the experiment file: all of its jobs, of the parameters that it has, computed by the same mathematics.

use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::{DateTime, Utc};
use tandem_domain::{
    LEARN_VERSION,
    images::KnownImages,
    plan::{Plan, PlannedJob},
    receipt::{Environment, KEY_FILE, RECEIPT_FILE, SIGNATURE_FILE},
};
use tandem_proto::{convert, v1};
use uuid::Uuid;

use crate::{
    datasets::UPLOADS,
    error::{Error, Result},
    refuse::refusals,
    report::batch::{NAME_BYTES_MAX, short},
    store::clean,
    submit::planned,
};

/// Figures of one job, and its files.
const RESULTS_MAX: usize = 1000;
const FILES_MAX: usize = 1000;
/// Of all jobs.
const ALL_FILES_MAX: usize = 10_000;

/// An experiment whose results are about to arrive.
#[derive(Debug)]
pub(super) struct Import {
    pub(super) toml: String,
    pub(super) file_name: String,
    pub(super) plan: Plan,
    /// In the order of the file, as its jobs in `plan` are.
    pub(super) jobs: Vec<ImportedJob>,
    /// Places in `jobs`, in the order in which they were sent.
    pub(super) sent: Vec<usize>,
}

#[derive(Debug)]
pub(super) struct ImportedJob {
    pub(super) id: Uuid,
    pub(super) name: String,
    pub(super) environment: Environment,
    pub(super) began: Option<DateTime<Utc>>,
    pub(super) ended: Option<DateTime<Utc>>,
    pub(super) results: Vec<(String, f64)>,
    pub(super) files: Vec<WantedFile>,
}

/// A file that is to arrive.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct WantedFile {
    pub(super) kind: String,
    pub(super) name: String,
    pub(super) sha256: String,
    pub(super) bytes: u64,
}

impl Import {
    pub(super) fn bytes(&self) -> u64 {
        let files = self.jobs.iter().flat_map(|job| &job.files);
        files.fold(0, |sum, file| sum.saturating_add(file.bytes))
    }
}

impl WantedFile {
    /// In the store, of a job of this id.
    pub(super) fn path(&self, job: Uuid) -> String {
        format!("{}/{}", stored_folder(job), self.name)
    }
}

/// Of the store: where the files of a job stay.
pub(super) fn stored_folder(job: Uuid) -> String {
    format!("jobs/{job}/artifacts/imported")
}

/// Of the store: where they are until all have arrived.
pub(super) fn arriving_folder(job: Uuid) -> String {
    format!("{UPLOADS}/import-{job}")
}

pub(super) async fn check(begin: v1::ImportBegin, jobs: Vec<v1::ImportedJob>) -> Result<Import> {
    let v1::ImportBegin { toml, file_name, .. } = begin;
    let mut plan = planned(toml.clone(), file_name.clone()).await?;
    if let [refusal, ..] = refusals(&plan).as_slice() {
        return Err(Error::Refused(refusal.clone()));
    }
    let mut by_name = HashMap::new();
    for (place, job) in jobs.into_iter().enumerate() {
        let name = job.name.clone();
        if by_name.insert(name.clone(), (place, job)).is_some() {
            return Err(Error::Invalid(format!("job `{name}` was sent twice")));
        }
    }
    let mut sent = vec![0; by_name.len()];
    let (mut images, mut checked) = (BTreeMap::new(), Vec::new());
    for (place, planned) in plan.jobs.iter().enumerate() {
        let name = &planned.spec.name;
        let (at, job) = by_name
            .remove(name)
            .ok_or_else(|| Error::Invalid(format!("there are no results of job `{name}`, which the file has")))?;
        sent[at] = place;
        same_mathematics(planned, &job)?;
        same_images(&mut images, planned, &job.images)?;
        checked.push(of(job)?);
    }
    let files: usize = checked.iter().map(|job| job.files.len()).sum();
    if files > ALL_FILES_MAX {
        return Err(Error::Refused(format!("it has {files} files; at most {ALL_FILES_MAX} are brought in at once")));
    }
    if let Some(name) = by_name.into_keys().next() {
        return Err(Error::Invalid(format!("there are results of a job `{name}`, which the file has not")));
    }
    let known = images.into_iter().map(|(dataset, sha256)| (dataset, KnownImages { sha256, counts: None })).collect();
    plan.set_images(&known, LEARN_VERSION);
    Ok(Import { toml, file_name: clean(&file_name), plan, jobs: checked, sent })
}

fn same_mathematics(planned: &PlannedJob, job: &v1::ImportedJob) -> Result<()> {
    if planned.content_key == job.content_key {
        return Ok(());
    }
    Err(Error::Refused(format!(
        "the results of job `{}` are of other parameters than the file has, or of a version of training whose mathematics give other \
         bits than this coordinator's ({LEARN_VERSION})",
        job.name
    )))
}

/// One experiment is trained and tested on one version of a data set.
fn same_images(images: &mut BTreeMap<String, String>, planned: &PlannedJob, sha256: &str) -> Result<()> {
    let dataset = planned.spec.dataset.to_string();
    // Ledgers of earlier versions do not say.
    if sha256.is_empty() {
        return Ok(());
    }
    let known = images.entry(dataset.clone()).or_insert_with(|| short(sha256, NAME_BYTES_MAX));
    if known == sha256 {
        return Ok(());
    }
    Err(Error::Refused(format!(
        "job `{}` was computed on other images of {dataset} than another job of the file (checksums `{sha256}` and `{known}`)",
        planned.spec.name
    )))
}

fn of(job: v1::ImportedJob) -> Result<ImportedJob> {
    let v1::ImportedJob { name, environment, began, ended, results, artifacts, .. } = job;
    let wrong = |why: String| Error::Invalid(format!("job `{name}`: {why}"));
    if results.len() > RESULTS_MAX || artifacts.len() > FILES_MAX {
        let counts = format!("{} results and {} files", results.len(), artifacts.len());
        return Err(wrong(format!("{counts}; expected at most {RESULTS_MAX} and {FILES_MAX}")));
    }
    for v1::ResultEvent { name, value } in &results {
        if let Some(why) = impossible(name, *value) {
            return Err(wrong(format!("its result `{name}` is {value}: {why}; the ledger was altered")));
        }
    }
    let mut names = HashSet::new();
    for artifact in &artifacts {
        let v1::ArtifactEvent { kind, name: file, sha256, .. } = artifact;
        if !is_file_name(file) || kind.is_empty() {
            return Err(wrong(format!(
                "`{file}` of kind `{kind}` is no file: expected a name without folders, and a kind"
            )));
        }
        if sha256.len() != 64 || !sha256.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(wrong(format!("`{sha256}` of {file} is no SHA-256: expected 64 hexadecimal digits")));
        }
        if !names.insert(file.clone()) {
            return Err(wrong(format!("two files are called {file}")));
        }
    }
    let moment = |at: Option<convert::Timestamp>| at.and_then(|at| convert::moment("at", Some(at)).ok());
    let file = |artifact: v1::ArtifactEvent| WantedFile {
        kind: short(&artifact.kind, NAME_BYTES_MAX),
        name: artifact.name,
        sha256: artifact.sha256,
        bytes: artifact.bytes,
    };
    Ok(ImportedJob {
        id: Uuid::new_v4(),
        environment: environment.as_ref().map(Environment::from).unwrap_or_default(),
        began: moment(began),
        ended: moment(ended),
        results: results.into_iter().map(|result| (short(&result.name, NAME_BYTES_MAX), result.value)).collect(),
        files: artifacts.into_iter().map(file).collect(),
        name,
    })
}

/// Why no run of ours can have measured it.
fn impossible(name: &str, value: f64) -> Option<&'static str> {
    let has = |words: &[&str]| name.split('_').any(|part| words.contains(&part));
    if has(&["accuracy", "error"]) && !value.is_nan() && !(0.0..=1.0).contains(&value) {
        return Some("a share is from 0 to 1");
    }
    let is_count = has(&["labels", "steps", "epoch", "images", "bytes", "seconds", "failed", "broken"]);
    (is_count && value < 0.0).then_some("there are no fewer than none")
}

/// One that a fetch can write anywhere, and that none of its own has.
fn is_file_name(name: &str) -> bool {
    (1..=NAME_BYTES_MAX).contains(&name.len())
        && !name.starts_with('.')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-+= ".contains(&byte))
        && ![RECEIPT_FILE, KEY_FILE, SIGNATURE_FILE].contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOML: &str = "name = \"here\"\ndataset = \"shapes\"\n[jobs.encoder]\nstage = \"contrastive\"\n\
        encoder = \"resnet-tiny\"\nepochs = 2\nbatch_size = 64\n[jobs.probe]\nstage = \"linear\"\nfrom = \"encoder\"\n";

    async fn sent() -> (v1::ImportBegin, Vec<v1::ImportedJob>) {
        let plan = planned(TOML.to_owned(), "here.toml".to_owned()).await.unwrap();
        let job = |planned: &PlannedJob| v1::ImportedJob {
            name: planned.spec.name.clone(),
            content_key: planned.content_key.clone(),
            artifacts: vec![v1::ArtifactEvent {
                kind: "encoder".into(),
                name: "a.safetensors".into(),
                sha256: "0".repeat(64),
                bytes: 3,
                ..v1::ArtifactEvent::default()
            }],
            ..v1::ImportedJob::default()
        };
        let jobs = plan.jobs.iter().rev().map(job).collect();
        let begin = v1::ImportBegin {
            toml: TOML.to_owned(),
            file_name: "here.toml".to_owned(),
            jobs: 2,
            sha256: "s".to_owned(),
        };
        (begin, jobs)
    }

    #[tokio::test]
    async fn jobs_come_in_any_order_and_are_kept_in_that_of_the_file() {
        let (begin, jobs) = sent().await;
        let import = check(begin, jobs).await.unwrap();
        assert_eq!(import.jobs.iter().map(|job| job.name.as_str()).collect::<Vec<_>>(), ["encoder", "probe"]);
        assert_eq!(import.sent, [1, 0]);
    }

    #[tokio::test]
    async fn what_does_not_fit_the_file_is_refused_with_its_place() {
        type Change = fn(&mut v1::ImportBegin, &mut Vec<v1::ImportedJob>);
        let (begin, mut jobs) = sent().await;
        jobs[0].results = vec![v1::ResultEvent { name: "test_accuracy".into(), value: f64::NAN }];
        assert!(check(begin, jobs).await.is_ok(), "what could not be measured");
        let cases: [(Change, &str); 11] = [
            (|_, jobs| drop(jobs.pop()), "there are no results of job `encoder`"),
            (|_, jobs| jobs[0].name = "other".into(), "there are no results of job `probe`"),
            (|_, jobs| jobs[1].name = "probe".into(), "job `probe` was sent twice"),
            (|_, jobs| jobs[1].content_key = "x".into(), "results of job `encoder` are of other parameters"),
            (
                |_, jobs| {
                    (jobs[0].images, jobs[1].images) = ("x".into(), "y".into());
                },
                "job `probe` was computed on other images of shapes",
            ),
            (|_, jobs| jobs[1].artifacts[0].name = "../a".into(), "job `encoder`: `../a` of kind `encoder` is no file"),
            (|_, jobs| jobs[1].artifacts[0].sha256 = "A".repeat(64), "is no SHA-256"),
            (|_, jobs| jobs[1].artifacts = vec![jobs[1].artifacts[0].clone(); 2], "two files are called a.safe"),
            (
                |_, jobs| jobs[0].results = vec![v1::ResultEvent { name: "test_accuracy".into(), value: 7.5 }],
                "`test_accuracy` is 7.5: a share is from 0 to 1",
            ),
            (
                |_, jobs| jobs[0].results = vec![v1::ResultEvent { name: "labels".into(), value: -3.0 }],
                "`labels` is -3: there are no fewer",
            ),
            (|begin, _| begin.toml.push_str("x = 1"), "here.toml"),
        ];
        for (change, expected) in cases {
            let (mut begin, mut jobs) = sent().await;
            change(&mut begin, &mut jobs);
            let why = check(begin, jobs).await.unwrap_err().to_string();
            assert!(why.contains(expected), "{why}, expected {expected}");
        }
    }
}
