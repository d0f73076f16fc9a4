use std::path::Path;

use tandem_domain::state::RankOutcome;
use tandem_proto::v1::{LogEvent, MetricEvent, PhaseEvent, ProgressEvent, ResultEvent, rank_event::Event};

use super::*;
use crate::report::{Receipt, rank_ended, rendezvous, report};

const ROOT: &str = "/srv/store";

async fn send(database: &TestStore, holder: LeaseHolder, events: &[v1::RankEvent]) -> Receipt {
    report(&database.store, Path::new(ROOT), holder, events).await.unwrap()
}

fn events_of_a_rank() -> Vec<v1::RankEvent> {
    let metric = |step| Event::Metric(MetricEvent { name: "loss".to_owned(), step, value: 1.0 / step as f64 });
    vec![
        event(1, Event::Phase(PhaseEvent { name: "started".to_owned(), first_step: 0 })),
        event(2, Event::Log(LogEvent { line: "loading\0data".to_owned() })),
        event(3, Event::Phase(PhaseEvent { name: "training".to_owned(), first_step: 8 })),
        event(4, metric(9)),
        event(6, metric(10)),
        event(7, Event::Progress(ProgressEvent { step: 10, steps: 20, epoch: 1, epochs: 2, ..Default::default() })),
        event(8, Event::Phase(PhaseEvent { name: "exporting".to_owned(), first_step: 20 })),
        event(9, Event::Result(ResultEvent { name: "loss".to_owned(), value: 0.1 })),
    ]
}

/// Everything that a report can change.
fn everything(database: &TestStore) -> String {
    ["metrics", "results", "logs", "events", "progress", "checkpoints", "artifacts", "leases", "attempts", "jobs"]
        .map(|table| {
            // Renewals are not changes.
            let hidden = if table == "leases" { "- 'expires_at'" } else { "- 'updated_at'" };
            database
                .values::<String>(&format!("SELECT (to_jsonb(t) {hidden})::text FROM {table} t ORDER BY 1"))
                .join("\n")
        })
        .join("\n")
}

async fn running(database: &TestStore, workers: u32, toml: &str) -> (Uuid, Vec<LeaseHolder>) {
    database.workers(workers).await;
    let job = ids(&database.submit(toml).await)[0];
    database.schedule(&database.scheduler(), &mut None).await;
    (job, database.lease_holders(job))
}

#[tokio::test]
async fn a_report_that_is_sent_again_changes_nothing() {
    let database = TestStore::open().await;
    let (job, holders) = running(&database, 1, &single(1)).await;
    let events = events_of_a_rank();
    assert_eq!(send(&database, holders[0], &events[..4]).await, Receipt::Stored);
    assert_eq!(send(&database, holders[0], &events).await, Receipt::Stored);
    let once = everything(&database);
    assert_eq!(send(&database, holders[0], &events).await, Receipt::Stored);
    assert_eq!(send(&database, holders[0], &events[2..5]).await, Receipt::Stored);
    assert_eq!(everything(&database), once);

    let points = database.rows::<(i64, f64)>("SELECT step, value FROM metrics ORDER BY step");
    assert_eq!(points, [(9, 1.0 / 9.0), (10, 0.1)]);
    let attempts = database.rows::<(String, i64)>("SELECT state::text, first_step FROM attempts");
    assert_eq!(attempts, [("training".to_owned(), 8)]);
    let progress = database.rows::<(String, i64, i64)>("SELECT phase, step, steps FROM progress");
    assert_eq!(progress, [("exporting".to_owned(), 10, 20)]);
    assert_eq!(database.text("SELECT line FROM logs"), "loading\u{fffd}data");
    let kinds: Vec<String> = database.values(&format!("SELECT kind FROM events WHERE job_id = '{job}' ORDER BY id"));
    assert_eq!(kinds, ["submitted", "assigned", "started", "training", "exporting"]);
}

/// An attempt from before the renaming reports by the older names, whenever; a later one by those of now.
#[tokio::test]
async fn a_result_is_stored_under_the_name_that_its_attempt_means() {
    let database = TestStore::open().await;
    let results = || database.rows::<(String, f64)>("SELECT name, value FROM results ORDER BY name");
    let named =
        |sequence, name: &str, value| event(sequence, Event::Result(ResultEvent { name: name.to_owned(), value }));
    let (_, holders) = running(&database, 1, &single(1)).await;
    database.execute("UPDATE renamed_results SET through_fence = (SELECT MAX(fence) FROM attempts)");
    let older = [named(1, "median_distance", 0.2), named(2, "median_distance_all", 0.5), named(3, "loss", 1.0)];
    send(&database, holders[0], &older).await;
    let paper = |value| ("median_distance_paper".to_owned(), value);
    let (loss, all) = (("loss".to_owned(), 1.0), |value| ("median_distance".to_owned(), value));
    assert_eq!(results(), [loss.clone(), all(0.5), paper(0.2)]);

    database.execute("UPDATE renamed_results SET through_fence = 0");
    let newer = [named(4, "median_distance", 0.6), named(5, "median_distance_paper", 0.3)];
    send(&database, holders[0], &newer).await;
    assert_eq!(results(), [loss, all(0.6), paper(0.3)]);
}

#[tokio::test]
async fn a_stale_worker_changes_nothing() {
    let database = TestStore::open().await;
    let (_, holders) = running(&database, 2, &experiment(1)).await;
    let before = everything(&database);
    let strangers = [
        LeaseHolder { fence: holders[0].fence - 1, ..holders[0] },
        LeaseHolder { fence: holders[0].fence + 1, ..holders[0] },
        LeaseHolder { worker: holders[1].worker, ..holders[0] },
        LeaseHolder { rank: 7, ..holders[0] },
        LeaseHolder { attempt: Uuid::new_v4(), ..holders[0] },
    ];
    for stranger in strangers {
        assert_eq!(send(&database, stranger, &events_of_a_rank()).await, Receipt::Stale);
        let ended = rank_ended(&database.store, stranger, RankOutcome::Succeeded, "").await.unwrap();
        assert_eq!(ended, Receipt::Stale);
    }
    let elsewhere = LeaseHolder { worker: holders[1].worker, ..holders[1] };
    assert_eq!(rendezvous(&database.store, elsewhere, "evil", 1).await.unwrap(), Receipt::Stale);
    assert_eq!(everything(&database), before);
    assert_eq!(send(&database, holders[0], &events_of_a_rank()).await, Receipt::Stored);
}

#[tokio::test]
async fn a_later_attempt_that_repeats_a_step_changes_nothing() {
    let database = TestStore::open().await;
    let (job, first) = running(&database, 1, &single(1)).await;
    send(&database, first[0], &events_of_a_rank()).await;
    rank_ended(&database.store, first[0], RankOutcome::Lost, "ended by signal 9 (SIGKILL)").await.unwrap();
    let (state, reason) = database.job(job).await;
    assert_eq!(state, "queued");
    assert!(reason.starts_with("rank 0 on cpu-0: ended by signal 9 (SIGKILL); attempt lost: retry 1 of 5"), "{reason}");
    // What the first attempt reported stays; its later reports are refused.
    assert_eq!(
        send(&database, first[0], &[event(10, events_of_a_rank()[4].event.clone().unwrap())]).await,
        Receipt::Stale
    );

    database.execute("UPDATE leader SET expires_at = now()");
    database.schedule(&database.scheduler(), &mut None).await;
    let second = database.lease_holders(job);
    assert!(second[0].fence > first[0].fence);
    let again = Event::Metric(MetricEvent { name: "loss".to_owned(), step: 10, value: 77.0 });
    assert_eq!(send(&database, second[0], &[event(1, again)]).await, Receipt::Stored);
    assert_eq!(database.value::<f64>("SELECT value FROM metrics WHERE step = 10"), 0.1);
}

#[tokio::test]
async fn dependants_go_on_after_success() {
    let database = TestStore::open().await;
    database.workers(2).await;
    let jobs = ids(&database.submit(&experiment(1)).await);
    let (scheduler, mut term) = (database.scheduler(), None);
    database.schedule(&scheduler, &mut term).await;
    let holders = database.lease_holders(jobs[0]);
    rank_ended(&database.store, holders[0], RankOutcome::Succeeded, "").await.unwrap();
    assert_eq!(database.state(jobs[0]).await, "running", "one rank of two");
    rank_ended(&database.store, holders[1], RankOutcome::Succeeded, "").await.unwrap();
    assert_eq!(database.job(jobs[0]).await, ("succeeded".to_owned(), String::new()));
    // Sent again after a reconnect: nothing more happens.
    assert_eq!(rank_ended(&database.store, holders[1], RankOutcome::Lost, "").await.unwrap(), Receipt::Stale);
    database.schedule(&scheduler, &mut term).await;
    assert_eq!(database.state(jobs[1]).await, "running");
    assert_eq!(database.state(jobs[2]).await, "running");
}

#[tokio::test]
async fn dependants_of_a_failure_are_cancelled_with_a_reason() {
    let database = TestStore::open().await;
    let (job, holders) = running(&database, 2, &experiment(1)).await;
    database.execute("UPDATE leases SET dispatched_at = now()");
    rank_ended(&database.store, holders[1], RankOutcome::JobFailed, "loss is not finite at step 120").await.unwrap();
    let (state, reason) = database.job(job).await;
    assert_eq!(state, "failed");
    assert!(reason.starts_with("rank 1 on cpu-1: loss is not finite at step 120"), "{reason}");
    database.execute("UPDATE leader SET expires_at = now()");
    database.schedule(&database.scheduler(), &mut None).await;
    let others = "SELECT DISTINCT state::text || ': ' || reason FROM jobs WHERE stage = 'linear'";
    assert_eq!(database.text(others), "cancelled: its input `encoder` failed");
    // The other rank still runs: its worker is not free until the rank has ended or its lease has expired.
    assert_eq!(database.count("leases WHERE released_at IS NULL"), 1);
    // The same content may be tried again.
    let again = database.submit(&experiment(1)).await;
    assert!(again.jobs.iter().all(|job| job.reused.is_none()));
}

#[tokio::test]
async fn a_preempted_job_goes_back_without_counting() {
    let database = TestStore::open().await;
    let (job, holders) = running(&database, 2, &experiment(1)).await;
    rank_ended(&database.store, holders[0], RankOutcome::Preempted, "the worker leaves").await.unwrap();
    assert_eq!(database.state(job).await, "running", "the other rank is about to stop at the same step");
    rank_ended(&database.store, holders[1], RankOutcome::Preempted, "").await.unwrap();
    assert_eq!(database.state(job).await, "queued");
    assert_eq!(database.text("SELECT state::text FROM attempts"), "preempted");
    assert!(database.value::<bool>("SELECT not_before IS NULL FROM jobs WHERE state = 'queued'"));
}
