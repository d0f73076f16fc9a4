//! What was computed without a house is brought in whole, once, or not at all.

use std::fs;

use tandem_domain::{
    LEARN_VERSION,
    plan::plan,
    receipt::{Envelope, Statement, sha256},
};
use tandem_proto::v1::{
    ArtifactEvent, EnvironmentEvent, ImportBegin, ImportPoints, ImportedJob, ResultEvent, import_request::Message,
};
use tokio_stream::iter;

use super::*;
use crate::{
    error::{Error, Result},
    imports::{House, Imported, import},
    receipts::{HouseKey, Receipts, answer},
    store_folder::StoreFolder,
};

const WEIGHTS: &[u8] = b"weights of an encoder";

struct Place {
    database: TestStore,
    house: House,
}

impl Place {
    async fn open() -> Self {
        let database = TestStore::open().await;
        let folder = StoreFolder::open(&database.folder.path().join("store")).unwrap();
        let house = House { store: database.store.clone(), folder, closing: Default::default() };
        Self { database, house }
    }

    async fn import(&self, begin: ImportBegin, messages: Vec<Message>) -> Result<Imported> {
        import(&self.house, &person("ada"), begin, iter(messages.into_iter().map(Ok))).await
    }

    /// Files in the store, but for its own.
    fn files(&self) -> usize {
        let root = &self.house.folder.root;
        ["jobs", ".uploads"].iter().filter_map(|folder| fs::read_dir(root.join(folder)).ok()).flatten().count()
    }
}

/// An encoder that left a file, and two linear jobs on it.
fn sent(seed: u32) -> (ImportBegin, Vec<Message>) {
    let toml = experiment(seed);
    let planned = plan(&toml, "here.toml", LEARN_VERSION).unwrap();
    let artifact = ArtifactEvent {
        kind: "encoder".into(),
        name: "encoder.safetensors".into(),
        uri: String::new(),
        sha256: sha256(WEIGHTS),
        bytes: WEIGHTS.len() as u64,
    };
    let jobs = planned.jobs.iter().map(|job| ImportedJob {
        name: job.spec.name.clone(),
        content_key: job.content_key.clone(),
        environment: Some(EnvironmentEvent { host: "laptop".into(), libtorch: "2.7.1".into(), ..Default::default() }),
        results: vec![ResultEvent { name: "linear_accuracy".into(), value: 0.75 }],
        artifacts: if job.spec.inputs.is_empty() { vec![artifact.clone()] } else { Vec::new() },
        ..Default::default()
    });
    let begin = ImportBegin {
        jobs: u32::try_from(planned.jobs.len()).unwrap(),
        toml,
        file_name: "here.toml".into(),
        sha256: format!("{seed}"),
    };
    let points = ImportPoints { job: 0, metric: "loss".into(), steps: (1..=2000).collect(), values: vec![1.5; 2000] };
    let chunk = |range: std::ops::Range<usize>| Message::Chunk(WEIGHTS[range].to_vec());
    let rest = [chunk(0..5), Message::Points(points), chunk(5..WEIGHTS.len())];
    (begin, jobs.map(|job| Message::Job(Box::new(job))).chain(rest).collect())
}

#[tokio::test]
async fn it_is_there_as_if_it_had_run_here_and_says_where_it_did() {
    let place = Place::open().await;
    let (begin, messages) = sent(1);
    let imported = place.import(begin.clone(), messages.clone()).await.unwrap();
    assert!(!imported.present && imported.jobs.len() == 3, "{imported:?}");
    let database = &place.database;
    let encoder = imported.jobs[0].1;
    for (_, job) in &imported.jobs {
        assert_eq!(database.state(*job).await, "succeeded");
    }
    let uri = database.text(&format!("SELECT uri FROM artifacts WHERE job_id = '{encoder}'"));
    assert_eq!(fs::read(place.house.folder.root.join(uri)).unwrap(), WEIGHTS);
    assert_eq!(database.count(&format!("metric_points WHERE job_id = '{encoder}' AND value = 1.5")), 2000);
    assert_eq!(database.count("results WHERE value = 0.75"), 3);
    // It is nobody's precedent, holds no device, and is shared with nobody.
    assert_eq!(database.count("jobs WHERE ran_on IS NOT NULL"), 0);
    assert_eq!(
        (database.count("leases WHERE released_at IS NULL"), database.count("workers WHERE state <> 'gone'")),
        (0, 0)
    );
    let again = database.submit(&begin.toml).await;
    assert!(again.jobs.iter().all(|job| job.reused.is_none()), "{again:?}");

    let key = HouseKey::open(&database.store, &database.folder.path().join("receipt.key"), "a", false).await.unwrap();
    let receipts = Receipts { store: database.store.clone(), key };
    receipts.make_due().await.unwrap();
    let answer = answer(&receipts, &mut database.store.conn().await.unwrap(), encoder, &[]).await.unwrap();
    assert!(answer.differences.is_empty(), "{:?}", answer.differences);
    let (payload, ..) = Envelope::parse(answer.envelope.as_bytes()).unwrap().open().unwrap();
    let facts = Statement::parse(&payload).unwrap().predicate;
    assert_eq!(facts.key.derived, Some(true), "{:?}", facts.key);
    let [attempt] = facts.attempts.as_slice() else { panic!("{:?}", facts.attempts) };
    assert!(attempt.cause.starts_with("brought in by ada; computed by `tandem-worker local` on laptop"), "{attempt:?}");
    let [rank] = attempt.ranks.as_slice() else { panic!("{:?}", attempt.ranks) };
    assert_eq!(rank.environment.as_ref().unwrap().libtorch, "2.7.1");

    // The same again is the same; of somebody else it is that one's own.
    let same = place.import(begin.clone(), Vec::new()).await.unwrap();
    assert!(same.present && same.experiment == imported.experiment && same.jobs == imported.jobs, "{same:?}");
    let others = import(&place.house, &person("bob"), begin, iter(messages.into_iter().map(Ok))).await.unwrap();
    assert!(!others.present && others.experiment != imported.experiment, "{others:?}");
}

#[tokio::test]
async fn it_comes_in_once_however_often_it_is_sent_and_again_once_it_is_deleted() {
    let place = Place::open().await;
    let ((begin, messages), (_, others)) = (sent(3), sent(3));
    let (one, other) = tokio::join!(place.import(begin.clone(), messages), place.import(begin.clone(), others));
    let (one, other) = (one.unwrap(), other.unwrap());
    assert!(one.present != other.present && one.experiment == other.experiment && one.jobs == other.jobs);
    assert_eq!((place.database.count("jobs"), place.files()), (3, 1));
    place.database.execute("UPDATE experiments SET deleted_at = now()");
    let again = place.import(begin, sent(3).1).await.unwrap();
    assert!(!again.present && again.experiment != one.experiment, "{again:?}");
}

#[tokio::test]
async fn what_is_not_whole_leaves_nothing() {
    type Change = fn(&mut ImportBegin, &mut Vec<Message>);
    let place = Place::open().await;
    let (begin, messages) = sent(2);
    let refused = async |change: Change| {
        let (mut begin, mut messages) = (begin.clone(), messages.clone());
        change(&mut begin, &mut messages);
        place.import(begin, messages).await.unwrap_err().to_string()
    };
    let cases: [(&str, Change); 8] = [
        ("it ended within encoder.safetensors", |_, messages| drop(messages.pop())),
        ("more bytes arrived than the files have", |_, messages| messages.push(Message::Chunk(vec![1]))),
        ("16 bytes arrived for encoder.safetensors, of which 6", |_, messages| {
            messages.insert(3, Message::Chunk(vec![1; 10]))
        }),
        ("2 of 3 jobs arrived", |_, messages| drop(messages.remove(2))),
        ("has the SHA-256", |_, messages| messages[3] = Message::Chunk(b"wrong".to_vec())),
        ("points of job 9, of 3", |_, messages| {
            messages.push(Message::Points(ImportPoints { job: 9, ..Default::default() }));
        }),
        ("1 steps and 0 values", |_, messages| {
            messages.push(Message::Points(ImportPoints { steps: vec![1], metric: "x".into(), ..Default::default() }));
        }),
        ("it began twice", |begin, messages| messages.push(Message::Begin(begin.clone()))),
    ];
    for (why, change) in cases {
        let said = refused(change).await;
        assert!(said.contains(why), "{said}, expected {why}");
        assert_eq!((place.database.count("jobs"), place.files()), (0, 0), "{why}");
    }
    let broken =
        iter(messages[..4].iter().cloned().map(Ok).chain([Err(Error::StoreAway("the stream broke".to_owned()))]));
    import(&place.house, &person("ada"), begin, broken).await.unwrap_err();
    assert_eq!((place.database.count("jobs"), place.files()), (0, 0));
}
