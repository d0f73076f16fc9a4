//! Data sets that people put: whatever they send, and whatever happens meanwhile.

use std::fs;

use futures::stream;
use sha2::{Digest, Sha256};
use tandem_harness::TestDatabase;
use tandem_images::{list, packed::Packing};
use tandem_proto::{
    status::Code,
    v1::{self, PutRequest, data_client::DataClient, put_request::Message, put_response},
};
use tokio::{sync::mpsc, time::timeout};
use tonic::{Request, Status, Streaming, transport::Channel};
use uuid::Uuid;

use crate::{
    LIMIT,
    fake_worker::FakeWorker,
    server::{Server, submit},
};

/// A packed data set whose images hold `content`.
fn packed(content: &[u8]) -> Vec<u8> {
    let root = tempfile::tempdir().unwrap();
    for name in ["train/ant/1.png", "train/bee/1.png", "train/bee/2.png", "test/ant/1.png", "test/bee/1.png"] {
        let path = root.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, [content, name.as_bytes()].concat()).unwrap();
    }
    let packing = Packing::of(list(root.path(), &|| ()).unwrap()).unwrap();
    packing.parts(0).flat_map(Result::unwrap).collect()
}

fn sha256(bytes: &[u8]) -> String {
    format!("{:x}", Sha256::digest(bytes))
}

fn begin(name: &str, bytes: &[u8]) -> v1::PutBegin {
    v1::PutBegin { name: name.to_owned(), sha256: sha256(bytes), bytes: bytes.len() as u64 }
}

/// Somebody who puts data sets.
#[derive(Clone)]
struct Putter {
    channel: Channel,
    /// None at the socket, where the kernel says who calls.
    token: Option<String>,
}

/// One call of Put that is open.
struct Open {
    requests: mpsc::Sender<PutRequest>,
    answers: Streaming<v1::PutResponse>,
}

impl Open {
    async fn next(&mut self) -> Result<put_response::Message, Status> {
        let next = timeout(LIMIT, self.answers.message()).await.expect("no answer");
        Ok(next?.expect("the answer ended").message.unwrap())
    }

    async fn send(&self, bytes: &[u8]) {
        let _ = self.requests.send(PutRequest { message: Some(Message::Chunk(bytes.to_vec())) }).await;
    }

    /// The last answer.
    async fn end(mut self) -> Result<v1::PutDone, Status> {
        loop {
            if let put_response::Message::Done(done) = self.next().await? {
                return Ok(done);
            }
        }
    }
}

impl Putter {
    async fn new(server: &Server, name: &str) -> Self {
        let request = v1::SetPersonRequest {
            name: name.into(),
            create: true,
            role: Some("submitter".into()),
            ..Default::default()
        };
        let _ = server.people().await.set_person(request).await;
        Self { channel: server.far().await, token: Some(server.token("", name).await.secret) }
    }

    fn with<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        if let Some(token) = &self.token {
            request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
        }
        request
    }

    fn client(&self) -> DataClient<Channel> {
        DataClient::new(self.channel.clone())
    }

    /// Begins; with how many bytes are there, or what else was answered.
    async fn open(&self, begin: v1::PutBegin) -> Result<(Open, put_response::Message), Status> {
        let (requests, receiver) = mpsc::channel(64);
        requests.send(PutRequest { message: Some(Message::Begin(begin)) }).await.unwrap();
        let stream = stream::unfold(receiver, async |mut receiver| Some((receiver.recv().await?, receiver)));
        let answers = self.client().put(self.with(stream)).await?.into_inner();
        let mut open = Open { requests, answers };
        let first = open.next().await?;
        Ok((open, first))
    }

    /// Sends all of it, wherever it has to begin.
    async fn put(&self, name: &str, bytes: &[u8]) -> Result<v1::PutDone, Status> {
        let (open, first) = self.open(begin(name, bytes)).await?;
        match first {
            put_response::Message::Done(done) => Ok(done),
            put_response::Message::SendFrom(from) => {
                for chunk in bytes[usize::try_from(from).unwrap()..].chunks(700) {
                    open.send(chunk).await;
                }
                open.end().await
            }
            other => panic!("{other:?}"),
        }
    }

    async fn remove(&self, name: &str) -> Result<v1::StoredDataset, Status> {
        let request = self.with(v1::RemoveDataRequest { name: name.into() });
        Ok(self.client().remove(request).await?.into_inner().dataset.unwrap())
    }

    async fn listed(&self) -> v1::ListDataResponse {
        self.client().list(self.with(v1::ListDataRequest {})).await.unwrap().into_inner()
    }
}

fn refused<T: std::fmt::Debug>(outcome: Result<T, Status>, code: Code, words: &str) {
    let status = outcome.unwrap_err();
    assert_eq!(Code::of(&status), code, "{status:?}");
    assert!(status.message().contains(words), "{}", status.message());
}

/// Names of the files in a folder of the store.
fn files(database: &TestDatabase, folder: &str) -> Vec<String> {
    let entries = fs::read_dir(database.folder.path().join("store").join(folder)).into_iter().flatten();
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn what_was_put_is_there_for_all_and_goes_when_its_owner_says_so() {
    let database = TestDatabase::create();
    let server = Server::start(&database).await;
    let (ann, bob) = (Putter::new(&server, "ann").await, Putter::new(&server, "bob").await);
    let (cats, dogs) = (packed(b"cats"), packed(b"dogs"));
    let done = ann.put("cats", &cats).await.unwrap();
    let stored = done.dataset.unwrap();
    assert_eq!((done.present, stored.owner.as_str(), stored.stored), (false, "ann", true));
    assert_eq!((stored.classes, stored.train, stored.test, stored.arrived), (2, 3, 2, cats.len() as u64));
    let name = format!("cats.{}.tar", sha256(&cats));
    assert_eq!(files(&database, "datasets"), std::slice::from_ref(&name));
    assert!(fs::read(database.folder.path().join("store/datasets").join(&name)).unwrap() == cats);
    assert_eq!(files(&database, ".uploads"), [""; 0]);

    assert!(ann.put("cats", &cats).await.unwrap().present && bob.put("cats", &cats).await.unwrap().present);
    refused(ann.put("cats", &dogs).await, Code::AlreadyExists, "tandem data remove cats");
    refused(bob.put("cats", &dogs).await, Code::AlreadyExists, "a data set of ann");
    refused(bob.remove("cats").await, Code::Forbidden, "a data set of ann");
    refused(bob.remove("birds").await, Code::NotFound, "nobody has put");
    bob.put("dogs", &dogs).await.unwrap();
    let listed = bob.listed().await;
    let owners: Vec<(&str, &str)> =
        listed.datasets.iter().map(|dataset| (dataset.name.as_str(), dataset.owner.as_str())).collect();
    assert_eq!((owners, listed.used_bytes), (vec![("cats", "ann"), ("dogs", "bob")], dogs.len() as u64));

    let toml = "name = \"x\"\ndataset = \"folder:cats\"\n[jobs.encoder]\nstage = \"contrastive\"\nencoder = \"resnet-tiny\"\n\
                epochs = 2\nbatch_size = 2\nworkers = 1\n";
    let mut jobs = server.jobs().await;
    let submitted = jobs.submit(submit(toml)).await.unwrap().into_inner();
    refused(ann.remove("cats").await, Code::WrongState, "needed by 1 job that has not ended");
    jobs.cancel(v1::CancelRequest { target: submitted.experiment_id }).await.unwrap();
    assert_eq!(ann.remove("cats").await.unwrap().name, "cats");
    assert_eq!(files(&database, "datasets"), [format!("dogs.{}.tar", sha256(&dogs))]);
    // A refusal comes a moment later than what was done.
    let said = tandem_harness::until_async("the refusal is in the audit", LIMIT, async || {
        let audit = database.rows::<(String, String, String)>(
            "SELECT who, what || ' ' || object, outcome FROM audit WHERE what LIKE 'Data/%' ORDER BY at",
        );
        let said: Vec<String> =
            audit.into_iter().map(|(who, what, outcome)| format!("{who} {what} {outcome}")).collect();
        said.iter().any(|line| line.starts_with("bob Data/Remove folder:cats refused: ")).then_some(said)
    })
    .await;
    assert_eq!(said[0], "ann Data/Put folder:cats done");
    assert!(said.contains(&"ann Data/Remove folder:cats done".to_owned()), "{said:?}");
    server.stop().await;
}

#[tokio::test]
async fn what_was_interrupted_goes_on_by_another_coordinator_too() {
    let database = TestDatabase::create();
    let server = Server::start(&database).await;
    let ann = Putter::new(&server, "ann").await;
    let cats = packed(&[7; 5000]);
    let half = cats.len() / 2;
    let (open, first) = ann.open(begin("cats", &cats)).await.unwrap();
    assert_eq!(first, put_response::Message::SendFrom(0));
    open.send(&cats[..half]).await;
    let file = database.folder.path().join(format!("store/.uploads/cats.{}.part", sha256(&cats)));
    tandem_harness::until_async("half has arrived", LIMIT, async || {
        (fs::metadata(&file).is_ok_and(|part| part.len() == half as u64)).then_some(())
    })
    .await;
    // The same by two at a time would mix.
    refused(ann.put("cats", &cats).await, Code::Unavailable, "another call is putting");
    assert!(!ann.listed().await.datasets[0].stored);
    server.stop().await;
    drop(open);

    let server = Server::start(&database).await;
    let ann = Putter { channel: server.far().await, ..ann };
    let (open, first) = ann.open(begin("cats", &cats)).await.unwrap();
    assert_eq!(first, put_response::Message::SendFrom(half as u64));
    open.send(&cats[half..]).await;
    assert!(!open.end().await.unwrap().present);

    // Killed after the file was in its place, and before the database knew.
    database.execute("UPDATE datasets SET stored_at = NULL, classes = NULL, train = NULL, test = NULL");
    let (open, first) = ann.open(begin("cats", &cats)).await.unwrap();
    assert_eq!(first, put_response::Message::SendFrom(cats.len() as u64));
    assert!(!open.end().await.unwrap().present);
    assert_eq!(files(&database, "datasets").len(), 1);

    // Begun and left; another takes its place, and after a day nothing stays of it.
    let (dogs, birds) = (packed(b"dogs"), packed(b"birds"));
    let (open, _) = ann.open(begin("pets", &dogs)).await.unwrap();
    open.send(&dogs[..600]).await;
    drop(open);
    tandem_harness::until_async("the first has let go", LIMIT, async || ann.put("pets", &birds).await.ok()).await;
    let (open, _) = ann.open(begin("left", &dogs)).await.unwrap();
    drop(open);
    server.stop().await;
    database.execute("UPDATE datasets SET touched_at = now() - interval '25 hours'");
    let old = std::time::SystemTime::now() - std::time::Duration::from_secs(25 * 3600);
    for part in files(&database, ".uploads") {
        let path = database.folder.path().join("store/.uploads").join(part);
        fs::File::options().write(true).open(path).unwrap().set_modified(old).unwrap();
    }
    let server = Server::start(&database).await;
    tandem_harness::until_async("what was left is swept", LIMIT, async || {
        (files(&database, ".uploads").is_empty() && database.values::<String>("SELECT name FROM datasets").len() == 2)
            .then_some(())
    })
    .await;
    assert_eq!(files(&database, "datasets").len(), 2, "what is stored stays");
    server.stop().await;
}

#[tokio::test]
async fn what_cannot_be_used_leaves_nothing() {
    let database = TestDatabase::create();
    let server = Server::start_with(&database, &["--data-limit=20kB"]).await;
    let ann = Putter::new(&server, "ann").await;
    let cats = packed(b"cats");
    for (wrong, words) in [
        (v1::PutBegin { name: "../cats".into(), ..begin("", &cats) }, "no name of a data set"),
        (v1::PutBegin { name: "cifar10".into(), ..begin("", &cats) }, "has its own name"),
        (v1::PutBegin { sha256: "7".into(), ..begin("cats", &cats) }, "is no SHA-256"),
        (v1::PutBegin { bytes: 0, ..begin("cats", &cats) }, "is empty"),
    ] {
        refused(ann.open(wrong).await.map(|(_, first)| first), Code::InvalidInput, words);
    }
    let large = v1::PutBegin { bytes: u64::MAX, ..begin("cats", &cats) };
    refused(ann.open(large).await.map(|(_, first)| first), Code::Full, "that each person may keep");

    let (open, _) = ann.open(begin("cats", &cats)).await.unwrap();
    open.send(&[&cats[..], b"more"].concat()).await;
    refused(open.end().await, Code::InvalidInput, "more bytes arrived");
    let other = packed(b"lies");
    let (open, _) = ann.open(begin("cats", &cats)).await.unwrap();
    open.send(&other).await;
    refused(open.end().await, Code::InvalidInput, &sha256(&other));
    for (junk, words) in [(vec![7; 4096], "no packed data set"), (cats[..cats.len() / 2].to_vec(), "cats")] {
        let status = ann.put("cats", &junk).await;
        refused(status, Code::InvalidInput, words);
    }
    // Nothing but pieces after the first message, and nothing but that message first.
    let (open, _) = ann.open(begin("cats", &cats)).await.unwrap();
    open.requests.send(PutRequest { message: None }).await.unwrap();
    refused(open.end().await, Code::InvalidInput, "expected a chunk");
    let chunk = PutRequest { message: Some(Message::Chunk(vec![1])) };
    let first = ann.client().put(ann.with(stream::iter([chunk]))).await.map(drop);
    refused(first, Code::InvalidInput, "expected `begin`");
    let (open, _) = ann.open(begin("cats", &cats)).await.unwrap();
    open.send(&[]).await;
    refused(open.end().await, Code::InvalidInput, "a piece without bytes");
    let piece = PutRequest { message: Some(Message::Chunk(vec![0; 2 << 20])) };
    let (open, _) = ann.open(begin("cats", &cats)).await.unwrap();
    open.requests.send(piece).await.unwrap();
    assert!(open.end().await.is_err(), "a piece is a MiB at most");

    assert_eq!(files(&database, "datasets"), [""; 0]);
    assert!(ann.listed().await.datasets.iter().all(|dataset| !dataset.stored));
    tandem_harness::until_async("it can be put after all", LIMIT, async || ann.put("cats", &cats).await.ok()).await;
    let second = ann.put("dogs", &packed(&[7; 3000])).await;
    refused(second, Code::Full, "your other data sets");
    server.stop().await;
}

#[tokio::test]
async fn two_who_put_the_same_at_once_both_have_it() {
    let database = TestDatabase::create();
    let server = Server::start(&database).await;
    let ann = Putter::new(&server, "ann").await;
    for round in 0..5 {
        let (name, cats) = (format!("cats{round}"), packed(&[round; 3000]));
        let (one, other) = tokio::join!(ann.put(&name, &cats), ann.put(&name, &cats));
        for outcome in [one, other] {
            // One of them may have met the other in the middle: the client tries again.
            if let Err(status) = outcome {
                assert_eq!(Code::of(&status), Code::Unavailable, "{status:?}");
            }
        }
        tandem_harness::until_async("it is there", LIMIT, async || {
            ann.put(&name, &cats).await.ok().filter(|done| done.present)
        })
        .await;
        assert_eq!(files(&database, "datasets").len(), usize::from(round) + 1);
    }
    assert_eq!(files(&database, ".uploads"), [""; 0]);
    server.stop().await;
}

#[tokio::test]
async fn nobody_but_an_admin_hides_what_workers_have_of_their_own() {
    let database = TestDatabase::create();
    let server = Server::start(&database).await;
    let ann = Putter::new(&server, "ann").await;
    let worker = FakeWorker::register(&server, "gpu-0", Uuid::new_v4(), Vec::new()).await;
    let own = serde_json::json!({ "complete": true, "datasets": [{
        "name": "folder:house", "sha256": "11", "classes": 2, "train": 3, "test": 2, "problem": "" }] });
    database.execute(&format!("UPDATE workers SET datasets = '{own}'"));
    let house = packed(b"house");
    refused(ann.put("house", &house).await, Code::AlreadyExists, "gpu-0 has an image folder `house` of its own");
    ann.put("other", &house).await.unwrap();
    let admin = Putter { channel: server.channel().await, token: None };
    let (open, first) = admin.open(begin("house", &house)).await.unwrap();
    assert_eq!(first, put_response::Message::SendFrom(0));
    drop((open, worker));
    server.stop().await;
}

#[tokio::test]
async fn who_may_not_go_on_is_cut_off_in_the_middle() {
    let database = TestDatabase::create();
    let server = Server::start(&database).await;
    let ann = Putter::new(&server, "ann").await;
    let cats = packed(b"cats");
    let (mut open, _) = ann.open(begin("cats", &cats)).await.unwrap();
    open.send(&cats[..600]).await;
    let disable = v1::SetPersonRequest { name: "ann".into(), disabled: Some(true), ..Default::default() };
    server.people().await.set_person(disable).await.unwrap();
    let cut = loop {
        if let Err(status) = open.next().await {
            break status;
        }
    };
    assert_eq!(Code::of(&cut), Code::Unauthenticated, "{cut:?}");
    assert!(cut.message().contains("was disabled"), "{}", cut.message());
    server.stop().await;
}
