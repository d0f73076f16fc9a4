//! The coordinator over its real port: a user on one side, fake workers on the other.

use sha2::{Digest, Sha256};
use tandem_harness::{TestDatabase, until_async};
use tandem_proto::v1::{
    self, ArtifactEvent, CheckpointEvent, LogEvent, MetricEvent, PhaseEvent, RankOutcome, ResultEvent,
    coordinator_message::Message as Theirs, rank_event::Event, worker_message::Message as Ours,
};
use tokio::time::timeout;
use tokio_stream::StreamExt;
use tonic::Code;
use uuid::Uuid;

use crate::{
    LIMIT,
    fake_worker::{FakeWorker, event, running_rank},
    server::{Server, submit},
};

const EXPERIMENT: &str = r#"
name = "quickstart"
dataset = "shapes"
workers = 2
[jobs.encoder]
stage = "contrastive"
encoder = "resnet-tiny"
epochs = 2
batch_size = 64
[jobs.linear]
stage = "linear"
from = "encoder"
"#;

fn phase(sequence: u64, name: &str) -> v1::RankEvent {
    event(sequence, Event::Phase(PhaseEvent { name: name.to_owned(), first_step: 0 }))
}

#[tokio::test]
async fn a_worker_has_a_name_that_can_be_typed_and_has_it_alone() {
    let database = TestDatabase::create();
    let server = Server::start(&database).await;
    for odd in ["", "a b", "gpu\u{202e}0", "\u{1b}[2J", &"w".repeat(5000)] {
        let refused = FakeWorker::try_register(&server, odd, Uuid::new_v4(), Vec::new()).await.err().unwrap();
        assert_eq!(refused.code(), Code::InvalidArgument, "{refused:?}");
        let said = refused.message();
        assert!(said.contains("is no name for a worker") && said.contains("--name") && said.len() < 1000, "{said}");
        assert!(said.is_ascii() && !said.contains('\u{1b}'), "{said:?}");
    }
    assert_eq!(database.count("workers"), 0);
    let first = Uuid::new_v4();
    let registered = FakeWorker::register(&server, "gpu-0", first, Vec::new()).await;
    let second = Uuid::new_v4();
    let refused = FakeWorker::try_register(&server, "gpu-0", second, Vec::new()).await.err().unwrap();
    assert_eq!(refused.code(), Code::AlreadyExists, "{refused:?}");
    assert!(refused.message().contains("another worker is called gpu-0 and is there"), "{refused:?}");
    // It comes back itself, and another does once it is not there any more.
    drop(registered);
    drop(FakeWorker::register(&server, "gpu-0", first, Vec::new()).await);
    database.execute("UPDATE workers SET state = 'lost'");
    let _second = FakeWorker::register(&server, "gpu-0", second, Vec::new()).await;
    assert_eq!(database.count("workers WHERE state = 'ready'"), 1);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_submit_to_a_result() {
    let database = TestDatabase::create();
    let server = Server::start(&database).await;
    let mut first = FakeWorker::register(&server, "cpu-0", Uuid::new_v4(), Vec::new()).await;
    let mut second = FakeWorker::register(&server, "cpu-1", Uuid::new_v4(), Vec::new()).await;
    let store = first.registered.store_url.strip_prefix("file://").unwrap().to_owned();

    let mut jobs = server.jobs().await;
    let submitted = jobs.submit(submit(EXPERIMENT)).await.unwrap().into_inner();
    assert_eq!(submitted.jobs.iter().map(|job| job.name.as_str()).collect::<Vec<_>>(), ["encoder", "linear"]);
    let encoder = submitted.jobs[0].job_id.clone();
    let target = submitted.experiment_id.clone();
    let watching = jobs.watch(v1::WatchRequest { target: target.clone() }).await.unwrap().into_inner();
    let following = jobs.logs(v1::LogsRequest { target: encoder.clone(), follow: true, tail: 0 }).await;
    let following = following.unwrap().into_inner();

    // The gang starts: both get an assignment, rank 0 reports its address, and rank 1 is sent it.
    let (zero, one) = (first.assignment().await, second.assignment().await);
    assert_eq!((zero.rank, one.rank, zero.world_size), (0, 1, 2));
    assert_eq!((&zero.attempt_id, zero.fence), (&one.attempt_id, one.fence));
    assert!(zero.spec_json.contains("resnet-tiny"));
    let (attempt_id, fence) = (zero.attempt_id.clone(), zero.fence);
    first.send(Ours::Rendezvous(v1::Rendezvous { attempt_id, fence, host: "127.0.0.1".to_owned(), port: 4321 })).await;
    match second.next().await.unwrap() {
        Some(Theirs::Rendezvous(there)) => assert_eq!((there.host.as_str(), there.port), ("127.0.0.1", 4321)),
        other => panic!("expected the rendezvous, got {other:?}"),
    }

    // Both train; rank 0 reports for the job.
    std::fs::create_dir_all(format!("{store}/jobs/{encoder}")).unwrap();
    let bytes: Vec<u8> = (0..1_500_000u32).map(|i| (i % 251) as u8).collect();
    let uri = format!("jobs/{encoder}/encoder.safetensors");
    std::fs::write(format!("{store}/{uri}"), &bytes).unwrap();
    let checkpoint = CheckpointEvent { step: 20, path: format!("jobs/{encoder}/step-20"), ..Default::default() };
    let artifact = ArtifactEvent {
        kind: "encoder".to_owned(),
        name: "encoder.safetensors".to_owned(),
        uri,
        sha256: Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect(),
        bytes: bytes.len() as u64,
    };
    let mut events = vec![phase(1, "started"), phase(2, "training")];
    events.extend((3..23).map(|sequence| {
        let metric = MetricEvent { name: "loss".to_owned(), step: sequence - 2, value: 5.0 / sequence as f64 };
        event(sequence, Event::Metric(metric))
    }));
    events.extend((23..43).map(|n| event(n, Event::Log(LogEvent { line: format!("line {n}") }))));
    events.push(event(43, Event::Checkpoint(checkpoint)));
    events.push(event(44, Event::Artifact(artifact)));
    events.push(event(45, Event::Result(ResultEvent { name: "knn_accuracy".to_owned(), value: 0.5 })));
    first.report(&zero, events).await;
    second.report(&one, vec![phase(1, "started"), phase(2, "training")]).await;
    first.ended(&zero, RankOutcome::Succeeded, "").await;
    second.ended(&one, RankOutcome::Succeeded, "").await;

    // The linear job starts from the encoder's file, on the first idle worker.
    let linear = first.assignment().await;
    assert_eq!((linear.world_size, linear.inputs.len()), (1, 1));
    assert_eq!(linear.inputs[0].kind, "encoder");
    let accuracy = ResultEvent { name: "linear_accuracy".to_owned(), value: 0.66 };
    first.report(&linear, vec![phase(1, "training"), event(2, Event::Result(accuracy))]).await;
    first.ended(&linear, RankOutcome::Succeeded, "").await;

    // Watching ends with the last job, and so does following the logs.
    let seen: Vec<_> = timeout(LIMIT, watching.collect::<Vec<_>>()).await.unwrap();
    let last = seen.last().unwrap().as_ref().unwrap();
    assert!(last.done && last.jobs.iter().all(|job| job.state() == v1::JobState::Succeeded));
    assert!(seen.len() > 1, "only the end was seen");
    let lines: Vec<_> = timeout(LIMIT, following.collect::<Vec<_>>()).await.unwrap();
    let lines: Vec<_> = lines.into_iter().map(|line| line.unwrap().line).collect();
    assert_eq!(lines, (23..43).map(|n| format!("line {n}")).collect::<Vec<_>>());
    let tail = jobs.logs(v1::LogsRequest { target: encoder.clone(), follow: false, tail: 3 }).await;
    let tail: Vec<_> = tail.unwrap().into_inner().collect::<Vec<_>>().await;
    assert_eq!(tail.len(), 3);
    assert_eq!(tail[2].as_ref().unwrap().line, "line 42");

    // Everything can be asked for afterwards.
    let shown = jobs.show(v1::ShowRequest { target: "quickstart/encoder".to_owned() }).await.unwrap().into_inner();
    let kinds: Vec<_> = shown.events.iter().map(|event| event.kind.as_str()).collect();
    for kind in [
        "submitted",
        "assigned",
        "dispatched",
        "started",
        "training",
        "rank ended",
        "verifying",
        "verified",
        "succeeded",
    ] {
        assert!(kinds.contains(&kind), "{kind} is missing in {kinds:?}");
    }
    assert_eq!(shown.attempts[0].workers, ["cpu-0", "cpu-1"]);
    assert_eq!((shown.checkpoints.len(), shown.checkpoints[0].step), (1, 20));
    let progress = shown.jobs[0].progress.clone().unwrap();
    assert_eq!((progress.metrics[0].name.as_str(), progress.metrics[0].value), ("loss", 5.0 / 22.0));

    let mine = v1::ExperimentsRequest { mine: true, limit: 5, ..Default::default() };
    let mine = jobs.experiments(mine).await.unwrap().into_inner().experiments;
    assert_eq!((mine.len(), mine[0].name.as_str(), mine[0].succeeded, mine[0].running), (1, "quickstart", 2, 0));
    let others = v1::ExperimentsRequest { owner: "nobody-else".to_owned(), ..Default::default() };
    assert!(jobs.experiments(others).await.unwrap().into_inner().experiments.is_empty());

    let mut results = server.results().await;
    let thin = v1::MetricsRequest { target: target.clone(), points: 4, ..Default::default() };
    let thin = results.metrics(thin).await.unwrap().into_inner().series;
    assert_eq!((thin[0].steps.len(), thin[0].steps[3], thin[0].values[3]), (4, 20, 5.0 / 22.0));
    let curve = results.metrics(v1::MetricsRequest { target: target.clone(), ..Default::default() }).await.unwrap();
    let series = curve.into_inner().series;
    assert_eq!((series.len(), series[0].steps.len(), series[0].steps[0]), (1, 20, 1));
    assert_eq!((series[0].count, thin[0].count), (20, 20));
    let extremes = v1::MetricsRequest { target: target.clone(), points: 4, extremes: true, ..Default::default() };
    let extremes = results.metrics(extremes).await.unwrap().into_inner().series;
    assert_eq!((&extremes[0].steps[..], extremes[0].count), (&[1, 2, 19, 20][..], 20), "{extremes:?}");
    let part = v1::MetricsRequest { target: target.clone(), names: vec!["loss".to_owned()], ..Default::default() };
    let part = v1::MetricsRequest { most: 3, from_step: 7, ..part };
    let stretch = results.metrics(part.clone()).await.unwrap().into_inner().series;
    assert_eq!((stretch.len(), &stretch[0].steps[..]), (1, &[7, 8, 9][..]));
    assert_eq!(stretch[0].values[..], series[0].values[6..9]);
    let beyond = v1::MetricsRequest { from_step: u64::MAX, ..part };
    assert!(results.metrics(beyond).await.unwrap().into_inner().series[0].steps.is_empty());
    let best = v1::QueryRequest { best: "linear_accuracy".to_owned(), ..Default::default() };
    let best = results.query(best).await.unwrap().into_inner().jobs;
    assert_eq!(best.iter().map(|job| job.name.as_str()).collect::<Vec<_>>(), ["linear", "encoder"]);

    let artifact_id = shown.artifacts[0].id.clone();
    let wanted = |offset| v1::FetchRequest { artifact_id: artifact_id.clone(), offset, ..Default::default() };
    let fetched = results.fetch(wanted(0)).await.unwrap();
    let messages: Vec<_> = fetched.into_inner().collect::<Vec<_>>().await;
    assert_eq!(messages[0].as_ref().unwrap().artifact.as_ref().unwrap().name, "encoder.safetensors");
    let whole: Vec<u8> = messages.into_iter().flat_map(|message| message.unwrap().chunk).collect();
    assert!(whole == bytes, "other bytes came back");
    let end = bytes.len() as u64;
    let rest: Vec<_> = results.fetch(wanted(end - 3)).await.unwrap().into_inner().collect().await;
    assert_eq!(rest[0].as_ref().unwrap().offset, end - 3);
    let rest: Vec<u8> = rest.into_iter().flat_map(|message| message.unwrap().chunk).collect();
    assert_eq!(rest, bytes[bytes.len() - 3..]);
    let beyond = results.fetch(wanted(end + 1)).await.unwrap_err();
    assert!(beyond.code() == Code::InvalidArgument && beyond.message().contains("`offset`"), "{beyond}");

    // A worker that drains is gone when its stream ends.
    second.send(Ours::Drain(v1::Drain {})).await;
    second.leave().await;
    let status = server.fleet().await.status(v1::StatusRequest {}).await.unwrap().into_inner();
    assert_eq!(status.workers.iter().map(|worker| worker.name.as_str()).collect::<Vec<_>>(), ["cpu-0"]);
    assert!(!status.leader.is_empty());
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_coordinator_that_comes_back_adopts_what_runs() {
    let database = TestDatabase::create();
    let server = Server::start(&database).await;
    let (id, other) = (Uuid::new_v4(), Uuid::new_v4());
    let mut worker = FakeWorker::register(&server, "cpu-0", id, Vec::new()).await;
    let mut partner = FakeWorker::register(&server, "cpu-1", other, Vec::new()).await;
    let target = server.jobs().await.submit(submit(EXPERIMENT)).await.unwrap().into_inner().jobs[0].job_id.clone();
    let mut watching =
        server.jobs().await.watch(v1::WatchRequest { target: target.clone() }).await.unwrap().into_inner();
    let (zero, one) = (worker.assignment().await, partner.assignment().await);
    worker.report(&zero, vec![phase(1, "started"), phase(2, "training")]).await;

    // Streams end with the right status, and the server does not wait for their clients.
    server.begin_stop();
    assert_eq!(worker.end().await.code(), Code::Unavailable);
    while let Some(snapshot) = timeout(LIMIT, watching.next()).await.unwrap() {
        if let Err(status) = snapshot {
            assert_eq!(status.code(), Code::Unavailable);
        }
    }
    server.stop().await;

    // One rank went on meanwhile. The other has not reported yet, so its worker gets the assignment again.
    let server = Server::start(&database).await;
    let mut worker = FakeWorker::register(&server, "cpu-0", id, vec![running_rank(&zero)]).await;
    assert!(worker.registered.stale_attempt_ids.is_empty());
    worker.report(&zero, vec![phase(2, "training"), phase(3, "evaluating")]).await;
    let mut partner = FakeWorker::register(&server, "cpu-1", other, Vec::new()).await;
    assert_eq!(partner.assignment().await.attempt_id, one.attempt_id);
    let attempts = database.rows::<(String, i32)>("SELECT state::text, number FROM attempts");
    assert_eq!(attempts, [("training".to_owned(), 1)]);

    // A worker that was restarted has lost its rank, and the other worker is told to stop.
    let stale = v1::RunningRank { attempt_id: Uuid::new_v4().to_string(), fence: 1, rank: 0, ..Default::default() };
    let mut reborn = FakeWorker::register(&server, "cpu-0", id, vec![stale.clone()]).await;
    assert_eq!(reborn.registered.stale_attempt_ids, [stale.attempt_id.as_str()]);
    match partner.next().await.unwrap() {
        Some(Theirs::Stop(stop)) => assert!(!stop.graceful && stop.reason.contains("lost"), "{stop:?}"),
        other => panic!("expected a stop, got {other:?}"),
    }
    partner.ended(&one, RankOutcome::Cancelled, "stopped").await;
    let again = reborn.assignment().await;
    assert!(again.number == 2 && again.fence > zero.fence);
    assert_eq!(worker.end().await.code(), Code::Unavailable, "another stream is the worker's now");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_rank_that_stops_takes_the_others_along() {
    let database = TestDatabase::create();
    let server = Server::start(&database).await;
    let mut leaving = FakeWorker::register(&server, "cpu-0", Uuid::new_v4(), Vec::new()).await;
    let mut staying = FakeWorker::register(&server, "cpu-1", Uuid::new_v4(), Vec::new()).await;
    server.jobs().await.submit(submit(EXPERIMENT)).await.unwrap();
    let (zero, one) = (leaving.assignment().await, staying.assignment().await);
    leaving.report(&zero, vec![phase(1, "training")]).await;
    leaving.send(Ours::Drain(v1::Drain {})).await;
    leaving.ended(&zero, RankOutcome::Preempted, "the worker leaves").await;
    match staying.next().await.unwrap() {
        Some(Theirs::Stop(stop)) => assert!(stop.graceful, "{stop:?}"),
        other => panic!("expected a stop, got {other:?}"),
    }
    staying.ended(&one, RankOutcome::Preempted, "").await;
    leaving.leave().await;
    let mut jobs = server.jobs().await;
    let listed = until_async("the job waits for a second worker", LIMIT, async || {
        let listed = jobs.list(v1::ListRequest::default()).await.unwrap().into_inner().jobs;
        (listed[0].state() == v1::JobState::Queued && listed[0].reason.contains("needs 2 workers")).then_some(listed)
    });
    assert_eq!(listed.await[0].attempts, 1);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_and_mistaken_clients_get_a_clear_answer() {
    let database = TestDatabase::create();
    let server = Server::start(&database).await;
    let mut jobs = server.jobs().await;
    let wrong = submit(&EXPERIMENT.replace("epochs", "epoch"));
    let status = jobs.submit(wrong).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(status.message().starts_with("test.toml:8:") && status.message().contains("`epochs`"), "{status:?}");
    let nothing = v1::ShowRequest { target: "nothing".to_owned() };
    assert_eq!(jobs.show(nothing).await.unwrap_err().code(), Code::NotFound);
    let empty = v1::WatchRequest { target: String::new() };
    assert_eq!(jobs.watch(empty).await.unwrap_err().code(), Code::InvalidArgument);
    let unknown = v1::ListRequest { states: vec![99], ..Default::default() };
    assert_eq!(jobs.list(unknown).await.unwrap_err().code(), Code::InvalidArgument);
    let artifact_id = "../../etc/passwd".to_owned();
    let status =
        server.results().await.fetch(v1::FetchRequest { artifact_id, ..Default::default() }).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    assert_eq!(database.count("experiments"), 0);

    let mut worker = FakeWorker::register(&server, "cpu-0", Uuid::new_v4(), Vec::new()).await;
    let (attempt_id, fence) = (Uuid::new_v4().to_string(), 7);
    worker.send(Ours::Report(v1::Report { attempt_id: attempt_id.clone(), fence, rank: 0, events: Vec::new() })).await;
    match worker.next().await.unwrap() {
        Some(Theirs::Stop(stop)) => assert_eq!((stop.attempt_id, stop.fence, stop.graceful), (attempt_id, 7, false)),
        other => panic!("expected a stop, got {other:?}"),
    }
    worker.send(Ours::Report(v1::Report { attempt_id: "no id".to_owned(), ..Default::default() })).await;
    assert_eq!(worker.next().await.unwrap_err().code(), Code::InvalidArgument);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_and_reflection_answer() {
    use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};
    use tonic_reflection::pb::v1::{
        ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
        server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
    };
    let database = TestDatabase::create();
    let server = Server::start(&database).await;
    let mut health = HealthClient::new(server.channel().await);
    let status = health.check(HealthCheckRequest { service: String::new() }).await.unwrap().into_inner().status();
    assert_eq!(status, ServingStatus::Serving);

    let question = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut reflection = ServerReflectionClient::new(server.channel().await);
    let mut answers = reflection.server_reflection_info(tokio_stream::once(question)).await.unwrap().into_inner();
    let answer = answers.message().await.unwrap().unwrap().message_response;
    let Some(MessageResponse::ListServicesResponse(list)) = answer else { panic!("{answer:?}") };
    let names: Vec<_> = list.service.into_iter().map(|service| service.name).collect();
    for name in ["tandem.v1.Jobs", "tandem.v1.Results", "tandem.v1.Fleet", "tandem.v1.Workers", "grpc.health.v1.Health"]
    {
        assert!(names.iter().any(|known| known == name), "{name} is missing in {names:?}");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_coordinators_share_one_database() {
    let database = TestDatabase::create();
    let (leading, other) = (Server::start(&database).await, Server::start(&database).await);
    // The worker is connected to the coordinator that does not schedule.
    let mut worker = FakeWorker::register(&other, "cpu-0", Uuid::new_v4(), Vec::new()).await;
    let toml = EXPERIMENT.replace("workers = 2", "workers = 1");
    let submitted = leading.jobs().await.submit(submit(&toml)).await.unwrap().into_inner();
    let target = submitted.jobs[0].job_id.clone();
    let watching = leading.jobs().await.watch(v1::WatchRequest { target }).await.unwrap().into_inner();
    let assignment = worker.assignment().await;
    worker.report(&assignment, vec![phase(1, "training")]).await;
    // The leader stops in good order; the other takes over and places the next job.
    drop(watching);
    leading.stop().await;
    worker.ended(&assignment, RankOutcome::Succeeded, "").await;
    assert_eq!(worker.assignment().await.job_id, submitted.jobs[1].job_id);
    assert_eq!(database.value::<i64>("SELECT term FROM leader"), 2);
    other.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heartbeats_are_answered_while_the_database_is_slow() {
    use sqlx::{Connection, Executor};
    let database = TestDatabase::create();
    let server = Server::start(&database).await;
    let mut worker = FakeWorker::register(&server, "cpu-0", Uuid::new_v4(), Vec::new()).await;
    server.jobs().await.submit(submit(&EXPERIMENT.replace("workers = 2", "workers = 1"))).await.unwrap();
    let to = worker.assignment().await;

    let mut blocker = sqlx::PgConnection::connect(&database.url()).await.unwrap();
    blocker.execute("BEGIN; LOCK TABLE metrics IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let metric = event(1, Event::Metric(MetricEvent { name: "loss".to_owned(), step: 1, value: 1.0 }));
    let (attempt_id, fence, rank) = (to.attempt_id.clone(), to.fence, to.rank);
    worker.send(Ours::Report(v1::Report { attempt_id, fence, rank, events: vec![metric] })).await;
    worker.send(Ours::Heartbeat(v1::Heartbeat { sequence: 5, facts: None, running: vec![running_rank(&to)] })).await;
    match worker.next().await.unwrap() {
        Some(Theirs::HeartbeatAck(ack)) => assert_eq!(ack.sequence, 5),
        other => panic!("expected the answer to a heartbeat, got {other:?}"),
    }
    blocker.execute("ROLLBACK").await.unwrap();
    assert_eq!(worker.acknowledged().await, 1);
    server.stop().await;
}
