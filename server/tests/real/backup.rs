//! What a worker is told while a backup is taken, and after its house was restored from one.

use tandem_harness::TestDatabase;
use tandem_proto::v1::{self, CheckpointEvent, MetricEvent, rank_event::Event, worker_message::Message as Ours};
use tonic::Code;
use uuid::Uuid;

use crate::{fake_worker::FakeWorker, server::Server};

const SINGLE: &str = r#"
name = "single"
dataset = "shapes"
seed = 1
[jobs.encoder]
stage = "contrastive"
encoder = "resnet-tiny"
epochs = 2
batch_size = 64
workers = 1
"#;

/// Whether the acknowledgement of an event has files kept.
async fn keeps_files(worker: &mut FakeWorker, to: &v1::Assignment, sequence: u64, event: Event) -> bool {
    let (attempt_id, fence, rank) = (to.attempt_id.clone(), to.fence, to.rank);
    let events = vec![v1::RankEvent { sequence, at: None, event: Some(event) }];
    worker.send(Ours::Report(v1::Report { attempt_id, fence, rank, events })).await;
    let ack = worker.acknowledgement().await;
    assert_eq!(ack.sequence, sequence);
    ack.keep_files
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ranks_remove_no_files_while_a_backup_is_taken() {
    let database = TestDatabase::create();
    let server = Server::start(&database).await;
    let mut worker = FakeWorker::register(&server, "cpu-0", Uuid::new_v4(), Vec::new()).await;
    let (toml, file_name) = (SINGLE.to_owned(), "test.toml".to_owned());
    server.jobs().await.submit(v1::SubmitRequest { toml, file_name, ..Default::default() }).await.unwrap();
    let to = worker.assignment().await;
    let checkpoint =
        |step| Event::Checkpoint(CheckpointEvent { step, path: format!("jobs/step-{step}"), ..Default::default() });
    let metric = || Event::Metric(MetricEvent { name: "loss".to_owned(), step: 1, value: 1.0 });
    assert!(!keeps_files(&mut worker, &to, 1, checkpoint(8)).await);
    database.execute(
        "INSERT INTO backups (id, who, expires_at) VALUES (gen_random_uuid(), 'test', now() + interval '1 min')",
    );
    assert!(keeps_files(&mut worker, &to, 2, checkpoint(16)).await);
    assert!(!keeps_files(&mut worker, &to, 3, metric()).await, "nobody asks about what leaves no file");
    // Its backup was killed.
    database.execute("UPDATE backups SET expires_at = now() - interval '1 s'");
    assert!(!keeps_files(&mut worker, &to, 4, checkpoint(24)).await);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_of_another_house_is_refused_with_the_reason_before_its_token_is_used_up() {
    let database = TestDatabase::create();
    let server = Server::start(&database).await;
    let (id, token) = (Uuid::new_v4(), server.token("worker", "").await.secret);
    let from = async |house: &str| FakeWorker::connect_from(&server, &token, "gpu-0", id, Vec::new(), house).await;
    let other = Uuid::new_v4().to_string();
    let refused = from(&other).await.err().unwrap();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    let said = refused.message();
    assert!(said.contains("the worker gpu-0 belongs to another house") && said.contains(&other), "{said}");
    assert!(said.contains("--state") && said.contains("tandem token new gpu-0 --role worker"), "{said}");
    assert_eq!((database.count("workers"), database.count("tokens WHERE worker_id IS NOT NULL")), (0, 0));

    // One that is of no house becomes this one's, and comes back.
    let joined = from("").await.unwrap();
    let house = database.text("SELECT id::text FROM house");
    assert_eq!(joined.registered.house_id, house);
    drop(joined);
    drop(from(&house).await.unwrap());

    // The house was restored: a folder that remembers nothing, of a worker of before, is as foreign.
    database
        .execute("UPDATE house SET restored_from = id, id = gen_random_uuid(), backup_at = now(), restored_at = now()");
    for former in [house.as_str(), ""] {
        let refused = from(former).await.err().unwrap();
        assert!(refused.message().contains("from a backup of"), "{former:?}: {}", refused.message());
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_comes_with_a_token_of_before_is_told_what_has_happened() {
    let database = TestDatabase::create();
    let server = Server::start(&database).await;
    let token = server.token("worker", "").await.secret;
    database.execute("UPDATE house SET restored_from = id, backup_at = now(), restored_at = now()");
    database.execute("UPDATE tokens SET revoked_at = (SELECT restored_at FROM house)");
    let refused =
        FakeWorker::connect_from(&server, &token, "gpu-0", Uuid::new_v4(), Vec::new(), "").await.err().unwrap();
    assert_eq!(refused.code(), Code::Unauthenticated);
    let said = refused.message();
    assert!(said.contains("before this house was restored from a backup") && said.contains("--role worker"), "{said}");
    server.stop().await;
}
