//! Tests against a real Postgres: one server for all of them, a database for each.

mod access;
mod asked;
mod backup;
mod blame;
mod cancel;
mod claim;
mod collect;
mod conformance;
mod fit;
mod heartbeats;
mod imports;
mod keeping;
mod lane;
mod maximum_time;
mod points;
mod quarantine;
mod queue;
mod reads;
mod reap;
mod receipts;
mod report;
mod returned;
mod samples;
mod schema;
mod sharing;
mod sql_reader;
mod stop;
mod submit;
mod telling;
mod unblock;
mod verify;
mod views;
mod watch;

use std::{ops::Deref, sync::Arc, thread};

use tandem_domain::{
    access::{PersonRole, identity::Person},
    place::Policy,
    spec::SPEC_VERSION,
};
use tandem_harness::TestDatabase;
use tandem_proto::{convert::timestamp, v1};
use tokio::runtime::Runtime;
use uuid::Uuid;

use crate::{
    notifier::Notifier,
    schedule::{LeadershipTerm, Scheduler},
    store::{
        Store, integer,
        leases::LeaseHolder,
        overview,
        picks::{Figures, Filter, Scope},
        schema::open,
        workers,
        workers::Registration,
    },
    submit::{Submission, Submitted, submit},
};

/// Who calls this is in a runtime already, and waits.
fn migrate(url: &str) {
    let migrated = || drop(Runtime::new().unwrap().block_on(open(url, None)).unwrap());
    thread::scope(|scope| scope.spawn(migrated).join().unwrap());
}

/// A database with the schema, and the store on it.
struct TestStore {
    // Dropped first: its connections end before the database does.
    store: Store,
    database: TestDatabase,
}

impl Deref for TestStore {
    type Target = TestDatabase;

    fn deref(&self) -> &TestDatabase {
        &self.database
    }
}

impl TestStore {
    async fn open() -> Self {
        Self::on(TestDatabase::copy("schema", migrate)).await
    }

    async fn on(database: TestDatabase) -> Self {
        Self { store: open(&database.url(), None).await.unwrap(), database }
    }

    /// Registers idle CPU workers.
    async fn workers(&self, count: u32) -> Vec<Uuid> {
        let mut ids = Vec::new();
        for index in 0..count {
            let worker = registration(Uuid::new_v4(), index);
            workers::register(&mut self.store.conn().await.unwrap(), &worker, Uuid::new_v4()).await.unwrap();
            ids.push(worker.id);
        }
        ids
    }

    async fn submit(&self, toml: &str) -> Submitted {
        submit(&self.store, &submission(toml)).await.unwrap()
    }

    fn scheduler(&self) -> Scheduler {
        Scheduler {
            store: self.store.clone(),
            notifier: Arc::new(Notifier::new()),
            id: Uuid::new_v4(),
            name: "test".to_owned(),
            policy: Policy::default(),
        }
    }

    /// One pass of the scheduler, which must get or keep the lead.
    async fn schedule(&self, scheduler: &Scheduler, term: &mut Option<LeadershipTerm>) {
        // However slow this machine is, the workers are there.
        self.execute("UPDATE workers SET last_seen = now() WHERE state = 'ready'");
        scheduler.pass(term, true).await.unwrap();
        assert!(term.is_some(), "somebody else leads");
    }

    /// State and reason.
    async fn job(&self, id: Uuid) -> (String, String) {
        let filter = Filter { scope: Scope::Jobs(&[id]), limit: 1, ..Default::default() };
        let row = overview::list(&mut self.store.conn().await.unwrap(), &filter).await.unwrap().remove(0);
        (row.state, row.reason)
    }

    async fn state(&self, id: Uuid) -> String {
        self.job(id).await.0
    }

    /// The ranks of a job's live attempt, in their order.
    fn lease_holders(&self, job: Uuid) -> Vec<LeaseHolder> {
        let rows: Vec<(Uuid, Uuid, i64, i32)> = self.rows(&format!(
            "SELECT l.worker_id, l.attempt_id, l.fence, l.rank FROM leases l JOIN attempts a ON a.id = l.attempt_id
             WHERE a.job_id = '{job}' AND a.ended_at IS NULL ORDER BY l.rank"
        ));
        let lease_holder = |(worker, attempt, fence, rank): (_, _, _, i32)| {
            let rank = rank.try_into().unwrap();
            LeaseHolder { worker, attempt, fence, rank }
        };
        rows.into_iter().map(lease_holder).collect()
    }
}

/// CPU worker number `index`.
fn registration(id: Uuid, index: u32) -> Registration {
    Registration {
        id,
        name: format!("cpu-{index}"),
        host: "box".to_owned(),
        version: "test".to_owned(),
        device_kind: "cpu".to_owned(),
        device_index: 0,
        device_name: "a processor".to_owned(),
        device_uuid: String::new(),
        memory_bytes: 1 << 30,
        cores: 1,
        driver: String::new(),
        spec_version: integer(SPEC_VERSION),
        unfit: String::new(),
    }
}

fn submission(toml: &str) -> Submission {
    let (toml, file_name) = (toml.to_owned(), "test.toml".to_owned());
    let (dry_run, fresh, idempotency_key, priority) = (false, false, String::new(), None);
    Submission { toml, file_name, dry_run, fresh, by: person("ada"), idempotency_key, priority, max_time: None }
}

/// A submitter; `root` is an admin.
fn person(name: &str) -> Person {
    let role = if name == "root" { PersonRole::Admin } else { PersonRole::Submitter };
    Person { name: name.to_owned(), role, token: None, once: false, origin: "test".to_owned() }
}

/// One encoder on two workers and two linear jobs that start from it.
fn experiment(seed: u32) -> String {
    format!(
        r#"
        name = "quickstart"
        dataset = "shapes"
        seed = {seed}
        workers = 2
        [jobs.encoder]
        stage = "contrastive"
        encoder = "resnet-tiny"
        epochs = 2
        batch_size = 64
        [jobs.linear]
        stage = "linear"
        from = "encoder"
        [jobs.linear.sweep]
        label_fraction = [1.0, 0.1]
        "#
    )
}

/// One job on one worker.
fn single(seed: u32) -> String {
    format!(
        "name = \"single\"\ndataset = \"shapes\"\nseed = {seed}\n[jobs.encoder]\nstage = \"contrastive\"\n\
         encoder = \"resnet-tiny\"\nepochs = 2\nbatch_size = 64\nworkers = 1\n"
    )
}

fn ids(submitted: &Submitted) -> Vec<Uuid> {
    submitted.jobs.iter().map(|job| job.id.unwrap()).collect()
}

fn event(sequence: u64, event: v1::rank_event::Event) -> v1::RankEvent {
    v1::RankEvent { sequence, at: Some(timestamp(chrono::Utc::now())), event: Some(event) }
}
