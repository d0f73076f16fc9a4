//! A job has succeeded when what it made was read back from a real folder; whose fault it is if it cannot be.

use std::{fs, path::PathBuf, time::Duration};

use sha2::{Digest, Sha256};
use tandem_domain::{state::RankOutcome, timing::READ_BACK_LATE};
use tandem_proto::v1::{ArtifactEvent, CheckpointEvent, ProgressEvent, ResultEvent, rank_event::Event};
use tempfile::TempDir;

use super::*;
use crate::{
    cancel::cancel,
    report::{Receipt, rank_ended, report},
    store_folder::StoreFolder,
    verify::Verifier,
};

/// Longer than a chunk.
const BYTES: usize = 3_000_000;

/// A fleet of two CPU workers, and a store that coordinators read.
struct Cluster {
    database: TestStore,
    folder: StoreFolder,
    parent: TempDir,
}

impl Cluster {
    async fn start() -> Self {
        let parent = tempfile::tempdir().unwrap();
        let folder = StoreFolder::open(&parent.path().join("store")).unwrap();
        let database = TestStore::open().await;
        database.workers(2).await;
        Self { database, folder, parent }
    }

    fn coordinator(&self, name: &str) -> Verifier {
        let (store, notifier) = (self.database.store.clone(), Arc::new(Notifier::new()));
        Verifier::new(store, self.folder.clone(), notifier, name.to_owned())
    }

    fn artifact(&self) -> PathBuf {
        self.folder.root.join("jobs/7/encoder.safetensors")
    }

    /// Runs a job on one worker until its rank has succeeded, with an artifact in the store.
    async fn ends_well(&self, job: Uuid) {
        self.database.schedule(&self.database.scheduler(), &mut None).await;
        self.database.execute("UPDATE leader SET expires_at = now()");
        let holder = self.database.lease_holders(job)[0];
        let bytes: Vec<u8> = (0..BYTES).map(|i| (i % 251) as u8).collect();
        fs::create_dir_all(self.artifact().parent().unwrap()).unwrap();
        fs::write(self.artifact(), &bytes).unwrap();
        let artifact = ArtifactEvent {
            kind: "encoder".to_owned(),
            name: "encoder.safetensors".to_owned(),
            uri: "jobs/7/encoder.safetensors".to_owned(),
            sha256: Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect(),
            bytes: BYTES as u64,
        };
        let progress = ProgressEvent { step: 20, steps: 20, images_per_second: 9.0, ..Default::default() };
        let events = [
            event(1, Event::Progress(progress)),
            event(
                2,
                Event::Checkpoint(CheckpointEvent {
                    step: 16,
                    path: "jobs/7/step-16".to_owned(),
                    ..Default::default()
                }),
            ),
            event(3, Event::Artifact(artifact)),
            event(4, Event::Result(ResultEvent { name: "loss".to_owned(), value: 0.1 })),
        ];
        let store = &self.database.store;
        assert_eq!(report(store, &self.folder.root, holder, &events).await.unwrap(), Receipt::Stored);
        assert_eq!(rank_ended(store, holder, RankOutcome::Succeeded, "").await.unwrap(), Receipt::Stored);
    }

    async fn verifying() -> (Self, Uuid) {
        let cluster = Self::start().await;
        let job = ids(&cluster.database.submit(&single(1)).await)[0];
        cluster.ends_well(job).await;
        (cluster, job)
    }

    fn attempts(&self) -> Vec<String> {
        self.database.values("SELECT state::text FROM attempts ORDER BY fence")
    }

    fn said(&self, kind: &str) -> Vec<String> {
        self.database.values(&format!("SELECT message FROM events WHERE kind = '{kind}' ORDER BY id"))
    }
}

/// Reads back again and again for longer than a file may come late.
async fn patiently(coordinator: &mut Verifier) {
    for second in 0..=READ_BACK_LATE.as_secs() + 1 {
        coordinator.round(Duration::from_secs(second)).await.unwrap();
    }
}

#[tokio::test]
async fn a_job_succeeds_when_what_it_made_was_read_back_and_holds_no_worker_until_then() {
    let (cluster, job) = Cluster::verifying().await;
    let database = &cluster.database;
    assert_eq!(database.job(job).await, ("running".to_owned(), String::new()));
    assert_eq!(cluster.attempts(), ["verifying"]);
    let shown = database.rows::<(String, i64, f64)>("SELECT phase, step, images_per_second FROM progress");
    assert_eq!(shown, [("verifying".to_owned(), 20, 0.0)]);
    assert_eq!(cluster.said("verifying"), ["all ranks have succeeded; what they made is read back before the job has"]);
    assert_eq!(database.count("leases WHERE released_at IS NULL"), 0);
    // Passes of the scheduler, also of a new leader, leave it alone: it has no gang to stop, to grow or to give up.
    let others = ids(&database.submit(&experiment(2)).await);
    database.schedule(&database.scheduler(), &mut None).await;
    assert_eq!((cluster.attempts()[0].as_str(), database.state(others[0]).await.as_str()), ("verifying", "running"));

    cluster.coordinator("a").round(Duration::ZERO).await.unwrap();
    assert_eq!(database.job(job).await, ("succeeded".to_owned(), String::new()));
    assert_eq!(cluster.attempts()[0], "succeeded");
    assert_eq!(cluster.said("verified"), ["what it made was read back whole"]);
    let order = "SELECT assigned_at < verifying_at AND verifying_at < ended_at FROM attempts WHERE state = 'succeeded'";
    assert!(database.value::<bool>(order));
    assert_eq!(database.text("SELECT phase FROM progress"), "");
}

#[tokio::test]
async fn a_damaged_artifact_costs_its_worker_the_job_but_no_retry_and_the_job_goes_on_elsewhere() {
    type Damage = fn(&PathBuf);
    let damages: [(&str, Damage); 4] = [
        ("is missing in the store", |file| fs::remove_file(file).unwrap()),
        ("has 2999993 bytes in the store, and 3000000 were reported", |file| {
            let bytes = fs::read(file).unwrap();
            fs::write(file, &bytes[7..]).unwrap();
        }),
        ("has the SHA-256 ", |file| {
            let mut bytes = fs::read(file).unwrap();
            bytes[BYTES - 1] ^= 1;
            fs::write(file, bytes).unwrap();
        }),
        ("is no regular file", |file| {
            fs::remove_file(file).unwrap();
            fs::create_dir(file).unwrap();
        }),
    ];
    for (how, damage) in damages {
        let (cluster, job) = Cluster::verifying().await;
        let database = &cluster.database;
        damage(&cluster.artifact());
        let mut coordinator = cluster.coordinator("a");
        coordinator.round(Duration::ZERO).await.unwrap();
        assert_eq!(cluster.attempts(), ["verifying"], "{how}: it may be late");
        patiently(&mut coordinator).await;

        let (state, reason) = database.job(job).await;
        assert_eq!(state, "queued", "{how}: {reason}");
        let said = format!("rank 0 on cpu-0: its artifact `encoder.safetensors` (jobs/7/encoder.safetensors) {}", how);
        assert!(reason.starts_with(&said) && reason.contains("uses up no retry"), "{how}: {reason}");
        assert!(cluster.said("artifact damaged")[0].starts_with(&said));
        let lease = database.rows::<(String, bool)>("SELECT outcome::text, cause <> '' FROM leases");
        assert_eq!((cluster.attempts(), lease), (vec!["lost".to_owned()], vec![("input_missing".to_owned(), true)]));
        assert!(database.value::<bool>("SELECT not_before IS NULL FROM jobs"), "it goes on at once");
        assert_eq!(database.count("workers WHERE quarantined_until IS NOT NULL"), 0);
        // Its files stay, and another worker goes on from them.
        assert_eq!((database.count("checkpoints"), database.count("artifacts")), (1, 1));
        if let Ok(true) = fs::metadata(cluster.artifact()).map(|metadata| metadata.is_dir()) {
            fs::remove_dir(cluster.artifact()).unwrap();
        }
        cluster.ends_well(job).await;
        let workers: Vec<String> =
            database.values("SELECT w.name FROM leases l JOIN workers w ON w.id = l.worker_id ORDER BY l.fence");
        assert_eq!(workers, ["cpu-0", "cpu-1"]);
        cluster.coordinator("b").round(Duration::ZERO).await.unwrap();
        assert_eq!(database.state(job).await, "succeeded");
    }
}

#[tokio::test]
async fn an_artifact_that_comes_late_is_whole() {
    let (cluster, job) = Cluster::verifying().await;
    let away = cluster.parent.path().join("late");
    fs::rename(cluster.artifact(), &away).unwrap();
    let mut coordinator = cluster.coordinator("a");
    for second in 0..READ_BACK_LATE.as_secs() {
        coordinator.round(Duration::from_secs(second)).await.unwrap();
        assert_eq!(cluster.attempts(), ["verifying"]);
    }
    fs::rename(&away, cluster.artifact()).unwrap();
    coordinator.round(READ_BACK_LATE).await.unwrap();
    assert_eq!(cluster.database.state(job).await, "succeeded");
}

#[tokio::test]
async fn a_store_that_the_coordinator_cannot_see_is_its_own_fault_and_said_once() {
    let (cluster, job) = Cluster::verifying().await;
    let database = &cluster.database;
    let away = cluster.parent.path().join("away");
    fs::rename(&cluster.folder.root, &away).unwrap();
    let mut coordinator = cluster.coordinator("a");
    patiently(&mut coordinator).await;
    patiently(&mut cluster.coordinator("a")).await;
    assert_eq!(cluster.attempts(), ["verifying"]);
    let (state, reason) = database.job(job).await;
    assert_eq!(state, "running");
    assert!(
        reason.starts_with("coordinator a cannot read back yet what it made: this coordinator cannot read its store")
    );
    assert!(reason.ends_with("neither the job nor its workers are at fault, and it is tried again"), "{reason}");
    assert_eq!(cluster.said("not verified yet"), [reason], "once, and not again after a restart");

    // Another folder in its place is not the store either.
    StoreFolder::open(&cluster.folder.root).unwrap();
    patiently(&mut cluster.coordinator("b")).await;
    assert_eq!(cluster.attempts(), ["verifying"]);
    assert!(database.job(job).await.1.contains("another folder is there now"));

    fs::remove_dir_all(&cluster.folder.root).unwrap();
    fs::rename(&away, &cluster.folder.root).unwrap();
    coordinator.round(Duration::from_secs(999)).await.unwrap();
    assert_eq!(database.job(job).await, ("succeeded".to_owned(), String::new()));
}

#[tokio::test]
async fn files_that_only_the_coordinator_cannot_read_hold_up_no_other_job() {
    let cluster = Cluster::start().await;
    let database = &cluster.database;
    // More than are read at a time.
    let mut jobs = Vec::new();
    for seed in 1..=6 {
        let job = ids(&database.submit(&single(seed)).await)[0];
        cluster.ends_well(job).await;
        jobs.push(job);
    }
    // A loop of links: no user can read it, not even one for whom there are no permissions.
    let name = cluster.folder.root.join("jobs/7/loop");
    std::os::unix::fs::symlink(&name, &name).unwrap();
    database.execute("UPDATE artifacts SET uri = 'jobs/7/loop'");
    let mut coordinator = cluster.coordinator("a");
    patiently(&mut coordinator).await;
    for job in jobs {
        let (state, reason) = database.job(job).await;
        assert_eq!(state, "running", "{reason}");
        assert!(reason.contains("its artifact `encoder.safetensors` (jobs/7/loop) cannot be read: "), "{reason}");
    }
    let other = ids(&database.submit(&single(7)).await)[0];
    cluster.ends_well(other).await;
    coordinator.round(Duration::from_secs(999)).await.unwrap();
    assert_eq!(database.state(other).await, "succeeded");
    assert_eq!(cluster.said("not verified yet").len(), 6);
}

#[tokio::test]
async fn a_cancel_works_at_once_and_what_is_read_afterwards_changes_nothing() {
    for damaged in [false, true] {
        let (cluster, job) = Cluster::verifying().await;
        let database = &cluster.database;
        let mut coordinator = cluster.coordinator("a");
        if damaged {
            fs::remove_file(cluster.artifact()).unwrap();
            coordinator.round(Duration::ZERO).await.unwrap();
        }
        let cancelled = cancel(&database.store, &job.to_string(), &person("ada")).await.unwrap();
        assert_eq!(cancelled.jobs.len(), 1);
        patiently(&mut coordinator).await;
        patiently(&mut cluster.coordinator("b")).await;
        assert_eq!(database.job(job).await, ("cancelled".to_owned(), "cancelled by ada".to_owned()));
        assert_eq!(cluster.attempts(), ["cancelled"]);
        assert_eq!(database.count("events WHERE kind IN ('verified', 'artifact damaged')"), 0);
        assert_eq!(database.text("SELECT outcome::text FROM leases"), "succeeded");
    }
}

#[tokio::test]
async fn coordinators_that_read_at_once_decide_once() {
    for damaged in [false, true] {
        let (cluster, job) = Cluster::verifying().await;
        if damaged {
            fs::remove_file(cluster.artifact()).unwrap();
        }
        let mut coordinators = ["a", "b", "c"].map(|name| cluster.coordinator(name));
        for second in 0..=READ_BACK_LATE.as_secs() {
            let now = Duration::from_secs(second);
            let [a, b, c] = &mut coordinators;
            let rounds = tokio::join!(a.round(now), b.round(now), c.round(now));
            assert!(rounds.0.is_ok() && rounds.1.is_ok() && rounds.2.is_ok());
        }
        let expected = if damaged { ("queued", "requeued") } else { ("succeeded", "succeeded") };
        assert_eq!(cluster.database.state(job).await, expected.0);
        assert_eq!(cluster.said(expected.1).len(), 1);
        assert_eq!(cluster.said("attempt ended").len(), 1);
        assert_eq!(cluster.said(if damaged { "artifact damaged" } else { "verified" }).len(), 1);
    }
}

#[tokio::test]
async fn a_stale_report_does_not_touch_what_is_read_back() {
    let (cluster, job) = Cluster::verifying().await;
    let store = &cluster.database.store;
    let holder = cluster.database.lease_holders(job)[0];
    let other =
        ArtifactEvent { kind: "encoder".to_owned(), name: "encoder.safetensors".to_owned(), ..Default::default() };
    let late = [event(9, Event::Artifact(ArtifactEvent { uri: "jobs/7/other".to_owned(), ..other }))];
    assert_eq!(report(store, &cluster.folder.root, holder, &late).await.unwrap(), Receipt::Stale);
    assert_eq!(rank_ended(store, holder, RankOutcome::Lost, "late").await.unwrap(), Receipt::Stale);
    cluster.coordinator("a").round(Duration::ZERO).await.unwrap();
    assert_eq!(cluster.database.state(job).await, "succeeded");
}
