//! A job that has succeeded has a receipt, signed by the house's key; a row that is altered afterwards is found.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    time::Duration,
};

use tandem_domain::{
    receipt::{Device, Envelope, Environment, PublicKey, Receipt as Facts, Replayed, Statement, sha256, verifies},
    state::RankOutcome,
};
use tandem_proto::v1::{ArtifactEvent, CheckpointEvent, ResultEvent, rank_event::Event};

use super::*;
use crate::{
    error::Error,
    query::{asked, results},
    receipts::{Again, HouseKey, Receipts, again, answer},
    report::{rank_ended, report},
    store::{receipts::keys, reproductions::replay},
    store_folder::StoreFolder,
    verify::Verifier,
};

const BYTES: &[u8] = b"weights";

fn events(events: Vec<Event>) -> Vec<v1::RankEvent> {
    let at = Some(timestamp(chrono::Utc::now()));
    (1..).zip(events).map(|(sequence, event)| v1::RankEvent { sequence, at, event: Some(event) }).collect()
}

fn environment() -> Environment {
    let device = Device { kind: "cpu".to_owned(), name: "a processor".to_owned(), ..Device::default() };
    Environment {
        worker: "cpu-0".to_owned(),
        device,
        libtorch: "2.7.1".to_owned(),
        binary_sha256: "b".repeat(64),
        threads: 1,
        ..Environment::default()
    }
}

/// A house whose coordinator has its key in a file.
struct House {
    database: TestStore,
    folder: StoreFolder,
    receipts: Receipts,
    parent: tempfile::TempDir,
}

impl House {
    async fn open() -> Self {
        let parent = tempfile::tempdir().unwrap();
        let folder = StoreFolder::open(&parent.path().join("store")).unwrap();
        let database = TestStore::open().await;
        database.workers(1).await;
        let key = HouseKey::open(&database.store, &parent.path().join("receipt.key"), "a", false).await.unwrap();
        assert!(key.is_some());
        let receipts = Receipts { store: database.store.clone(), key };
        Self { database, folder, receipts, parent }
    }

    /// Has a queued job trained and read back.
    async fn train(&self, job: Uuid) {
        let database = &self.database;
        database.schedule(&database.scheduler(), &mut None).await;
        database.execute("UPDATE leader SET expires_at = now()");
        let holder = database.lease_holders(job)[0];
        let uri = format!("jobs/{job}/encoder.safetensors");
        fs::create_dir_all(self.folder.root.join(format!("jobs/{job}"))).unwrap();
        fs::write(self.folder.root.join(&uri), BYTES).unwrap();
        let (kind, name) = ("encoder".to_owned(), "encoder.safetensors".to_owned());
        let artifact = ArtifactEvent { kind, name, uri, sha256: sha256(BYTES), bytes: BYTES.len() as u64 };
        let checkpoint = CheckpointEvent {
            step: 16,
            path: format!("jobs/{job}/step-16"),
            sha256: "c".repeat(64),
            bytes: 9,
            state_sha256: "d".repeat(64),
        };
        let told = events(vec![
            Event::Environment(Box::new(environment().into())),
            Event::Checkpoint(checkpoint),
            Event::Artifact(artifact),
            Event::Result(ResultEvent { name: "knn_accuracy".to_owned(), value: 0.5 }),
        ]);
        report(&database.store, &self.folder.root, holder, &told).await.unwrap();
        rank_ended(&database.store, holder, RankOutcome::Succeeded, "").await.unwrap();
        let (store, notifier) = (database.store.clone(), Arc::new(Notifier::new()));
        let mut verifier = Verifier::new(store, self.folder.clone(), notifier, "a".to_owned());
        verifier.round(Duration::ZERO).await.unwrap();
        assert_eq!(database.state(job).await, "succeeded");
    }

    async fn trained(toml: &str) -> (Self, Uuid) {
        let house = Self::open().await;
        let job = ids(&house.database.submit(toml).await)[0];
        house.train(job).await;
        (house, job)
    }

    async fn answer(&self, job: Uuid, files: &[&str]) -> Result<crate::receipts::Answer, Error> {
        let files: Vec<String> = files.iter().map(|name| (*name).to_owned()).collect();
        answer(&self.receipts, &mut self.database.store.conn().await.unwrap(), job, &files).await
    }

    async fn receipt(&self, job: Uuid) -> Facts {
        let answer = self.answer(job, &[]).await.unwrap();
        let envelope = Envelope::parse(answer.envelope.as_bytes()).unwrap();
        let (payload, signature, keyid) = envelope.open().unwrap();
        let key = PublicKey::from_pem(&answer.key).unwrap();
        assert!(verifies(&key, &payload, &signature) && keyid == key.id());
        assert_eq!(answer.differences, []);
        Statement::parse(&payload).unwrap().predicate
    }
}

#[tokio::test]
async fn what_produced_a_result_is_signed_when_its_job_has_succeeded() {
    let (house, job) = House::trained(&single(7)).await;
    assert_eq!(house.database.count("receipts_due"), 1);
    house.receipts.make_due().await.unwrap();
    assert_eq!(house.database.count("receipts_due"), 0);
    let receipt = house.receipt(job).await;
    assert_eq!((receipt.job.id, receipt.job.seed, receipt.job.experiment.as_str()), (job.to_string(), 7, "single"));
    assert_eq!(receipt.key.derived, Some(true), "{:?}", receipt.key);
    assert_eq!(receipt.spec["stage"]["epochs"], 2);
    assert_eq!((receipt.artifacts[0].sha256.as_str(), receipt.artifacts[0].bytes), (&*sha256(BYTES), 7));
    assert_eq!((receipt.checkpoints[0].step, &*receipt.checkpoints[0].state_sha256), (16, &*"d".repeat(64)));
    assert_eq!(receipt.results["knn_accuracy"], 0.5);
    let attempt = &receipt.attempts[0];
    assert_eq!((attempt.number, attempt.state.as_str(), attempt.world_size), (1, "succeeded", 1));
    assert_eq!(attempt.ranks[0].environment.as_ref(), Some(&environment()));
    assert!(receipt.times.finished_at.is_some());
}

#[tokio::test]
async fn a_row_that_is_altered_by_hand_is_found_by_its_field() {
    let (house, job) = House::trained(&single(1)).await;
    house.receipts.make_due().await.unwrap();
    for (altered, field) in [
        ("UPDATE artifacts SET sha256 = repeat('f', 64)", "artifacts[0].sha256"),
        ("UPDATE results SET value = 0.9", "results.knn_accuracy"),
        ("UPDATE checkpoints SET state_sha256 = ''", "checkpoints[0].state_sha256"),
        ("UPDATE jobs SET spec = jsonb_set(spec, '{stage,epochs}', '3')", "spec.stage.epochs"),
        ("UPDATE attempts SET cause = 'power'", "attempts[0].cause"),
        ("UPDATE environments SET facts = jsonb_set(facts, '{libtorch}', '\"2.6\"')", "libtorch"),
        ("DELETE FROM checkpoints", "checkpoints[0]"),
    ] {
        house.database.execute(altered);
        let found = house.answer(job, &[]).await.unwrap().differences;
        assert!(found.iter().any(|one| one.field.ends_with(field)), "{altered}: {found:?}");
    }
    house.database.execute("UPDATE receipts SET statement = replace(statement, '0.5', '0.9')");
    let altered = house.answer(job, &[]).await.unwrap_err();
    assert!(matches!(&altered, Error::Damaged(why) if why.contains("signature does not match")), "{altered:?}");
}

#[tokio::test]
async fn a_spec_that_was_altered_before_it_was_signed_does_not_give_its_content_key() {
    let (house, job) = House::trained(&single(1)).await;
    house.database.execute("UPDATE jobs SET spec = jsonb_set(spec, '{seed}', '2')");
    house.receipts.make_due().await.unwrap();
    assert_eq!(house.receipt(job).await.key.derived, Some(false));
}

#[tokio::test]
async fn what_starts_from_a_job_names_that_ones_receipt() {
    let house = House::open().await;
    let jobs = ids(&house.database.submit(&experiment(3).replace("workers = 2", "workers = 1")).await);
    house.train(jobs[0]).await;
    let database = &house.database;
    database.schedule(&database.scheduler(), &mut None).await;
    database.execute("UPDATE leader SET expires_at = now()");
    house.train_leased(jobs[1]).await;
    // Both are due; whoever starts from the other waits for it.
    assert_eq!(database.count("receipts_due"), 2);
    house.receipts.make_due().await.unwrap();
    let first: Vec<String> = database.values(&format!("SELECT sha256 FROM receipts WHERE job_id = '{}'", jobs[0]));
    let receipt = house.receipt(jobs[1]).await;
    assert_eq!(receipt.inputs[0].receipt_sha256.as_ref(), first.first());
    assert_eq!(receipt.inputs[0].artifacts[0].name, "encoder.safetensors");
    assert_eq!(receipt.key.derived, Some(true), "{:?}", receipt.key);
}

impl House {
    /// Has a job that holds a worker succeed, without an artifact.
    async fn train_leased(&self, job: Uuid) {
        let holder = self.database.lease_holders(job)[0];
        rank_ended(&self.database.store, holder, RankOutcome::Succeeded, "").await.unwrap();
        assert_eq!(self.database.state(job).await, "succeeded");
    }
}

#[tokio::test]
async fn a_folder_is_signed_by_what_the_receipt_says() {
    let (house, job) = House::trained(&single(1)).await;
    house.receipts.make_due().await.unwrap();
    house.database.execute("UPDATE artifacts SET sha256 = repeat('f', 64)");
    let answer = house.answer(job, &["encoder.safetensors"]).await.unwrap();
    let bundle: serde_json::Value = serde_json::from_str(&answer.model_signature).unwrap();
    let envelope: Envelope = serde_json::from_value(bundle["dsseEnvelope"].clone()).unwrap();
    let (payload, signature, _) = envelope.open().unwrap();
    assert!(verifies(&PublicKey::from_pem(&answer.house_key).unwrap(), &payload, &signature));
    let payload = String::from_utf8(payload).unwrap();
    for digest in [sha256(BYTES), sha256(answer.envelope.as_bytes()), sha256(answer.house_key.as_bytes())] {
        assert!(payload.contains(&digest), "{payload}");
    }
    assert!(!payload.contains(&"f".repeat(64)), "what was altered is not signed");
    let unknown = house.answer(job, &["other"]).await.unwrap_err();
    assert!(matches!(&unknown, Error::NotFound(why) if why.contains("`other`")), "{unknown:?}");
}

#[tokio::test]
async fn without_a_receipt_it_is_said_why() {
    let (mut house, job) = House::trained(&single(1)).await;
    let why = async |house: &House| match house.answer(job, &[]).await.unwrap_err() {
        Error::Refused(why) => why,
        other => panic!("{other:?}"),
    };
    house.receipts.key = None;
    house.receipts.make_due().await.unwrap();
    assert!(why(&house).await.contains("has not the house's key"));
    house.database.execute("DELETE FROM receipts_due");
    assert!(why(&house).await.contains("before this house kept receipts"));
    house.database.execute("UPDATE jobs SET state = 'queued', finished_at = NULL");
    assert!(why(&house).await.contains("only a job that has succeeded"));
}

#[tokio::test]
async fn the_key_is_made_once_and_shared_by_copying_its_file() {
    let house = House::open().await;
    let (store, own) = (&house.database.store, house.parent.path().join("receipt.key"));
    assert_eq!(fs::metadata(&own).unwrap().permissions().mode() & 0o777, 0o600);
    let id = async |file: &std::path::Path, another| {
        HouseKey::open(store, file, "b", another).await.unwrap().map(|key| key.public.id())
    };
    let first = house.receipts.key.as_ref().unwrap().public.id();
    assert_eq!(id(&own, false).await, Some(first.clone()), "the same at each start");

    // Another coordinator has none of its own, until the file is copied.
    let other = house.parent.path().join("b/receipt.key");
    assert_eq!(id(&other, false).await, None);
    assert!(!other.exists());
    fs::create_dir(other.parent().unwrap()).unwrap();
    fs::copy(&own, &other).unwrap();
    assert_eq!(id(&other, false).await, Some(first.clone()));

    // One that was lost for good has a successor, and what it signed still verifies.
    fs::remove_file(&other).unwrap();
    let second = id(&other, true).await.unwrap();
    assert_ne!(second, first);
    let known: Vec<String> =
        keys(&mut store.conn().await.unwrap()).await.unwrap().into_iter().map(|key| key.id).collect();
    assert_eq!(known, [second, first]);

    fs::set_permissions(&own, Permissions::from_mode(0o644)).unwrap();
    let open = HouseKey::open(store, &own, "a", false).await.err().unwrap();
    assert!(open.to_string().contains("chmod 600"), "{open}");
    fs::write(&other, "nonsense").unwrap();
    let nonsense = HouseKey::open(store, &other, "b", false).await.err().unwrap();
    assert!(nonsense.to_string().contains("holds no key of ECDSA"), "{nonsense}");
}

/// A key that is not the house's signs nothing, whoever made it.
#[tokio::test]
async fn a_foreign_key_is_not_taken() {
    let house = House::open().await;
    let database = TestStore::open().await;
    let foreign = house.parent.path().join("foreign.key");
    assert!(HouseKey::open(&database.store, &foreign, "x", false).await.unwrap().is_some());
    assert!(HouseKey::open(&house.database.store, &foreign, "x", false).await.unwrap().is_none());
}

impl House {
    /// Has a job that runs another one anew come to this state at step 16 and this figure.
    async fn train_again(&self, job: Uuid, state: &str, figure: f64) {
        let database = &self.database;
        database.schedule(&database.scheduler(), &mut None).await;
        database.execute("UPDATE leader SET expires_at = now()");
        let holder = database.lease_holders(job)[0];
        let checkpoint = CheckpointEvent {
            step: 16,
            path: format!("jobs/{job}/step-16"),
            sha256: "e".repeat(64),
            bytes: 9,
            state_sha256: state.repeat(64),
        };
        let told = events(vec![
            Event::Environment(Box::new(environment().into())),
            Event::Checkpoint(checkpoint),
            Event::Result(ResultEvent { name: "knn_accuracy".to_owned(), value: figure }),
        ]);
        report(&database.store, &self.folder.root, holder, &told).await.unwrap();
        self.train_leased(job).await;
        self.receipts.make_due().await.unwrap();
    }

    async fn again(&self, of: Uuid, replay: bool) -> Result<Again, Error> {
        again(&self.database.store, &self.folder, &person("ada"), of, replay).await
    }

    fn said(&self, job: Uuid, kind: &str) -> Vec<String> {
        self.database
            .values(&format!("SELECT message FROM events WHERE job_id = '{job}' AND kind = '{kind}' ORDER BY id"))
    }
}

#[tokio::test]
async fn a_job_is_replayed_to_a_listed_state_and_both_say_what_came_of_it() {
    let (house, of) = House::trained(&single(1)).await;
    house.receipts.make_due().await.unwrap();
    let verify = house.again(of, true).await.unwrap();
    assert_eq!(verify.replayed, Some(Replayed { from_step: 0, until_step: 16 }));
    assert!(!verify.already && house.again(of, true).await.unwrap().job == verify.job, "it is queued once");
    let row: Vec<(i32, bool)> = house.database.rows(&format!(
        "SELECT v.priority, v.content_key = o.content_key FROM jobs v JOIN jobs o ON o.id = v.reproduces WHERE v.id = '{}'",
        verify.job
    ));
    assert_eq!(row, [(-101, false)]);
    // What its rank is told.
    let replay = replay(&mut house.database.store.conn().await.unwrap(), verify.job).await.unwrap().unwrap();
    assert_eq!((replay.until, replay.from), (16, None));
    assert_eq!(replay.model.unwrap().name, "encoder.safetensors");

    house.train_again(verify.job, "d", 0.5).await;
    for job in [of, verify.job] {
        let said = house.said(job, "verified anew");
        assert!(said[0].contains("steps 0 to 16 were replayed") && said[0].contains("the same bits"), "{said:?}");
        assert!(said[0].contains("2 of 2 equal"), "{said:?}");
    }
    let receipt = house.receipt(verify.job).await;
    assert_eq!((receipt.job.reproduces, receipt.key.derived), (Some(of.to_string()), None));
    assert!(matches!(house.again(verify.job, true).await, Err(Error::Refused(why)) if why.contains("name that one")));

    // Another state on the same kind of device.
    let other = house.again(of, true).await.unwrap();
    assert_ne!(other.job, verify.job);
    house.train_again(other.job, "f", 0.5).await;
    let said = house.said(of, "not reproduced");
    assert!(said[0].contains("other bits, on the same kind of device"), "{said:?}");
    assert!(said[0].contains("1 of 2 equal") && said[0].contains("first: the state at step 16"), "{said:?}");
}

#[tokio::test]
async fn a_replay_begins_at_the_newest_checkpoint_whose_files_are_there() {
    let (house, of) = House::trained(&single(1)).await;
    let row = |step: u32| {
        format!(
            "INSERT INTO checkpoints (job_id, step, path, sha256, state_sha256, bytes, fence, at)
             VALUES ('{of}', {step}, 'jobs/{of}/step-{step}', 'c', 'd', 1, 1, now())"
        )
    };
    [8, 24].map(row).iter().for_each(|row| house.database.execute(row));
    house.receipts.make_due().await.unwrap();
    for step in [8, 16] {
        fs::create_dir_all(house.folder.root.join(format!("jobs/{of}/step-{step}"))).unwrap();
    }
    let verify = house.again(of, true).await.unwrap();
    assert_eq!(verify.replayed, Some(Replayed { from_step: 16, until_step: 24 }));
    let replay = replay(&mut house.database.store.conn().await.unwrap(), verify.job).await.unwrap().unwrap();
    assert_eq!(replay.from.unwrap().path, format!("jobs/{of}/step-16"));
}

#[tokio::test]
async fn a_whole_job_is_run_anew_and_what_has_no_receipt_is_not() {
    let (house, of) = House::trained(&single(1)).await;
    let refused = house.again(of, false).await;
    assert!(matches!(&refused, Err(Error::Refused(why)) if why.contains("there is no receipt")), "{refused:?}");
    house.receipts.make_due().await.unwrap();
    let reproduce = house.again(of, false).await.unwrap();
    assert_eq!(reproduce.replayed, None);
    house.train(reproduce.job).await;
    house.receipts.make_due().await.unwrap();
    let said = house.said(of, "reproduced");
    assert!(said[0].contains("the same bits, on the same kind of device (3 of 3 equal)"), "{said:?}");
    // It is no run of its own: found by its name, and not counted beside the first, nor in the list of results.
    let database = &house.database;
    assert_eq!(database.value::<i64>("SELECT count(*) FROM job_facts WHERE hidden"), 1);
    let conn = &mut *database.store.conn().await.unwrap();
    let asked = |condition: &str, target: &str| asked::Question {
        condition: condition.to_owned(),
        target: target.to_owned(),
        ..asked::Question::default()
    };
    let found = asked::ask(conn, "ada", &asked("stage = 'contrastive'", "")).await.unwrap();
    assert_eq!((found.rows.len(), found.not_indexed), (1, 0));
    let named = asked::ask(conn, "ada", &asked("", &format!("reproduce-{}", &of.to_string()[..8]))).await.unwrap();
    assert_eq!(named.rows.len(), 1);
    for best in ["", "knn_accuracy"] {
        let listed = results::Question { own: "ada", target: "", stage: "", best, ascending: false, limit: 9 };
        let listed = results::query(conn, listed).await.unwrap();
        assert_eq!(listed.iter().map(|row| row.id).collect::<Vec<_>>(), [of], "{best}");
    }

    // A stage that writes no checkpoint has no step to replay.
    for changed in ["DELETE FROM receipts", "DELETE FROM checkpoints", "INSERT INTO receipts_due SELECT id FROM jobs"] {
        house.database.execute(changed);
    }
    house.receipts.make_due().await.unwrap();
    let refused = house.again(of, true).await;
    assert!(matches!(&refused, Err(Error::Refused(why)) if why.contains("tandem reproduce")), "{refused:?}");
}
