//! A house with something to look at: workers that a test plays, people, jobs that run, wait and have ended.

use tandem_harness::{TestDatabase, until_async};
use tandem_proto::v1::{self, rank_event::Event};
use uuid::Uuid;

use crate::{
    LIMIT,
    fake_worker::{FakeWorker, event, running_rank},
    server::{Server, submit},
};

pub(crate) struct House {
    pub(crate) server: Server,
    pub(crate) database: TestDatabase,
    pub(crate) ann: String,
    pub(crate) admin: String,
}

/// A job that a test plays.
pub(crate) struct Played {
    pub(crate) worker: FakeWorker,
    pub(crate) assignment: v1::Assignment,
    reported: u64,
}

impl Played {
    pub(crate) async fn reports(&mut self, said: Vec<Event>) {
        let first = self.reported + 1;
        self.reported += said.len() as u64;
        let said = (first..).zip(said).map(|(sequence, said)| event(sequence, said)).collect();
        self.worker.report(&self.assignment, said).await;
    }

    /// Steps from `first` on, with a falling loss and a rising accuracy.
    pub(crate) async fn trains(&mut self, first: u64, count: u64) {
        let mut said = Vec::new();
        for step in first..first + count {
            let (noise, at) = ((step * 7919 % 13) as f64 / 100.0, step as f64);
            let metric = |name: &str, value| Event::Metric(v1::MetricEvent { name: name.to_owned(), step, value });
            said.push(metric("loss", 1.2 + 4.0 / (1.0 + at / 20.0) + noise));
            if step % 5 == 0 {
                said.push(metric("knn_accuracy", 0.9 - 0.8 / (1.0 + at / 30.0)));
                said.push(Event::Log(v1::LogEvent { line: format!("epoch {}: loss {:.3}", step / 5, 4.0 / at) }));
            }
        }
        said.push(Event::Progress(v1::ProgressEvent {
            step: first + count,
            steps: 400,
            epoch: u32::try_from(first / 5).unwrap(),
            epochs: 80,
            images_per_second: 812.0,
            seconds_left: 1860.0,
        }));
        self.reports(said).await;
    }
}

impl House {
    pub(crate) async fn open() -> Self {
        let database = TestDatabase::create();
        let server = Server::start(&database).await;
        let mut tokens = Vec::new();
        for (name, role) in [("ann", "submitter"), ("bob", "submitter"), ("root", "admin")] {
            let request =
                v1::SetPersonRequest { name: name.into(), create: true, role: Some(role.into()), ..Default::default() };
            server.people().await.set_person(request).await.unwrap();
            tokens.push(server.token("", name).await.secret);
        }
        let [ann, _bob, admin] = tokens.try_into().unwrap();
        Self { server, database, ann, admin }
    }

    pub(crate) async fn submits(&self, token: &str, toml: &str) -> v1::SubmitResponse {
        let mut jobs = v1::jobs_client::JobsClient::new(self.server.far().await);
        let mut request = tonic::Request::new(submit(toml));
        request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
        jobs.submit(request).await.unwrap().into_inner()
    }

    pub(crate) async fn plays(&self, worker: &str) -> Played {
        let mut worker = FakeWorker::register(&self.server, worker, Uuid::new_v4(), Vec::new()).await;
        let assignment = worker.assignment().await;
        Played { worker, assignment, reported: 0 }
    }

    /// What cards say of themselves, without cards.
    pub(crate) async fn beats(&self, played: &[Played]) {
        for (index, one) in played.iter().enumerate() {
            let facts = v1::DeviceFacts {
                utilization_percent: Some(97),
                memory_used_bytes: Some((6 + 4 * index as u64) << 30),
                temperature_celsius: Some(71),
                power_watts: Some(240),
                foreign_processes: Some(u32::try_from(index).unwrap()),
                ..Default::default()
            };
            let running = vec![running_rank(&one.assignment)];
            let heartbeat = v1::Heartbeat { sequence: 1, facts: Some(facts), running };
            one.worker.send(v1::worker_message::Message::Heartbeat(heartbeat)).await;
        }
    }

    /// The same, until it is stored; one of the cards is quarantined.
    pub(crate) async fn measures(&self, played: &[Played]) {
        self.beats(played).await;
        until_async("heartbeats are stored", LIMIT, async || {
            let count = self.database.count("workers_heard() WHERE facts IS NOT NULL");
            (usize::try_from(count).unwrap() == played.len()).then_some(())
        })
        .await;
        self.database.execute(
            "UPDATE workers SET device_kind = 'cuda', device_name = 'NVIDIA GeForce GTX 1080 Ti', memory_bytes = 11811160064,
                 device_index = substring(name FROM '[0-9]+$')::int WHERE name LIKE 'gpu-%';
             UPDATE workers SET quarantined_until = now() + interval '1 hour',
                 quarantine_reason = '3 different jobs were lost on it, one after the other' WHERE name = 'gpu-3';",
        );
    }
}

/// A sweep whose first stage is one job.
pub(crate) fn sweep(name: &str, seed: u32) -> String {
    format!(
        r#"
        name = "{name}"
        dataset = "shapes"
        seed = {seed}
        workers = 1
        [jobs.encoder]
        stage = "contrastive"
        encoder = "resnet-tiny"
        epochs = 80
        batch_size = 64
        [jobs.linear]
        stage = "linear"
        from = "encoder"
        [jobs.linear.sweep]
        label_fraction = [1.0, 0.1, 0.01]
        "#
    )
}
