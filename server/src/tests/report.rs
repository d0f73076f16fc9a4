use std::path::Path;

use tandem_domain::state::RankOutcome;
use tandem_proto::v1::{LogEvent, MetricEvent, PhaseEvent, ProgressEvent, ResultEvent, rank_event::Event};

use super::*;
use crate::report::{Receipt, rank_ended, rendezvous, report};

const ROOT: &str = "/srv/store";

async fn say(database: &Database, who: Speaker, events: &[v1::RankEvent]) -> Receipt {
    report(&database.store, Path::new(ROOT), who, events).await.unwrap()
}

fn story() -> Vec<v1::RankEvent> {
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
fn everything(database: &Database) -> String {
    ["metrics", "results", "logs", "events", "progress", "checkpoints", "artifacts", "leases", "attempts", "jobs"]
        .map(|table| {
            // Renewals are not changes.
            let hidden = if table == "leases" { "- 'expires_at'" } else { "- 'updated_at'" };
            database.psql(&format!("SELECT to_jsonb(t) {hidden} FROM {table} t ORDER BY 1"))
        })
        .join("\n")
}

async fn running(database: &Database, workers: u32, toml: &str) -> (Uuid, Vec<Speaker>) {
    database.workers(workers).await;
    let job = ids(&database.submit(toml).await)[0];
    database.schedule(&database.scheduler(), &mut None).await;
    (job, database.speakers(job))
}

#[tokio::test]
async fn a_report_that_is_sent_again_changes_nothing() {
    let database = Database::new().await;
    let (job, who) = running(&database, 1, &single(1)).await;
    let story = story();
    assert_eq!(say(&database, who[0], &story[..4]).await, Receipt::Stored);
    assert_eq!(say(&database, who[0], &story).await, Receipt::Stored);
    let once = everything(&database);
    assert_eq!(say(&database, who[0], &story).await, Receipt::Stored);
    assert_eq!(say(&database, who[0], &story[2..5]).await, Receipt::Stored);
    assert_eq!(everything(&database), once);

    assert_eq!(database.psql("SELECT step, value FROM metrics ORDER BY step"), "9|0.1111111111111111\n10|0.1");
    assert_eq!(database.psql("SELECT state, first_step FROM attempts"), "training|8");
    assert_eq!(database.psql("SELECT phase, step, steps FROM progress"), "exporting|10|20");
    assert_eq!(database.psql("SELECT line FROM logs"), "loading\u{fffd}data");
    let kinds = database.psql(&format!("SELECT kind FROM events WHERE job_id = '{job}' ORDER BY id"));
    assert_eq!(kinds.lines().collect::<Vec<_>>(), ["submitted", "assigned", "started", "training", "exporting"]);
}

#[tokio::test]
async fn a_stale_worker_changes_nothing() {
    let database = Database::new().await;
    let (_, who) = running(&database, 2, &experiment(1)).await;
    let before = everything(&database);
    let strangers = [
        Speaker { fence: who[0].fence - 1, ..who[0] },
        Speaker { fence: who[0].fence + 1, ..who[0] },
        Speaker { worker: who[1].worker, ..who[0] },
        Speaker { rank: 7, ..who[0] },
        Speaker { attempt: Uuid::new_v4(), ..who[0] },
    ];
    for stranger in strangers {
        assert_eq!(say(&database, stranger, &story()).await, Receipt::Stale);
        let ended = rank_ended(&database.store, stranger, RankOutcome::Succeeded, "").await.unwrap();
        assert_eq!(ended, Receipt::Stale);
    }
    let elsewhere = Speaker { worker: who[1].worker, ..who[1] };
    assert_eq!(rendezvous(&database.store, elsewhere, "evil", 1).await.unwrap(), Receipt::Stale);
    assert_eq!(everything(&database), before);
    assert_eq!(say(&database, who[0], &story()).await, Receipt::Stored);
}

#[tokio::test]
async fn a_later_attempt_that_repeats_a_step_changes_nothing() {
    let database = Database::new().await;
    let (job, first) = running(&database, 1, &single(1)).await;
    say(&database, first[0], &story()).await;
    rank_ended(&database.store, first[0], RankOutcome::Lost, "ended by signal 9 (SIGKILL)").await.unwrap();
    let (state, reason) = database.job(job).await;
    assert_eq!(state, "queued");
    assert!(reason.starts_with("rank 0 on cpu-0: ended by signal 9 (SIGKILL); attempt lost: retry 1 of 5"), "{reason}");
    // What came from the first attempt stays; it may not speak any more.
    assert_eq!(say(&database, first[0], &[event(10, story()[4].event.clone().unwrap())]).await, Receipt::Stale);

    database.psql("UPDATE leader SET expires_at = now()");
    database.schedule(&database.scheduler(), &mut None).await;
    let second = database.speakers(job);
    assert!(second[0].fence > first[0].fence);
    let again = Event::Metric(MetricEvent { name: "loss".to_owned(), step: 10, value: 77.0 });
    assert_eq!(say(&database, second[0], &[event(1, again)]).await, Receipt::Stored);
    assert_eq!(database.psql("SELECT value FROM metrics WHERE step = 10"), "0.1");
}

#[tokio::test]
async fn dependants_go_on_after_success() {
    let database = Database::new().await;
    database.workers(2).await;
    let jobs = ids(&database.submit(&experiment(1)).await);
    let (scheduler, mut term) = (database.scheduler(), None);
    database.schedule(&scheduler, &mut term).await;
    let who = database.speakers(jobs[0]);
    rank_ended(&database.store, who[0], RankOutcome::Succeeded, "").await.unwrap();
    assert_eq!(database.state(jobs[0]).await, "running", "one rank of two");
    rank_ended(&database.store, who[1], RankOutcome::Succeeded, "").await.unwrap();
    assert_eq!(database.job(jobs[0]).await, ("succeeded".to_owned(), String::new()));
    // Said again after a reconnect: nothing more happens.
    assert_eq!(rank_ended(&database.store, who[1], RankOutcome::Lost, "").await.unwrap(), Receipt::Stale);
    database.schedule(&scheduler, &mut term).await;
    assert_eq!(database.state(jobs[1]).await, "running");
    assert_eq!(database.state(jobs[2]).await, "running");
}

#[tokio::test]
async fn dependants_of_a_failure_are_cancelled_and_say_why() {
    let database = Database::new().await;
    let (job, who) = running(&database, 2, &experiment(1)).await;
    database.psql("UPDATE leases SET dispatched_at = now()");
    rank_ended(&database.store, who[1], RankOutcome::JobFailed, "loss is not finite at step 120").await.unwrap();
    let (state, reason) = database.job(job).await;
    assert_eq!(state, "failed");
    assert!(reason.starts_with("rank 1 on cpu-1: loss is not finite at step 120"), "{reason}");
    database.psql("UPDATE leader SET expires_at = now()");
    database.schedule(&database.scheduler(), &mut None).await;
    let others = database.psql("SELECT DISTINCT state, reason FROM jobs WHERE stage = 'linear'");
    assert_eq!(others, "cancelled|it starts from `encoder` failed");
    // The other rank still runs: its worker is not free until it says so or its lease runs out.
    assert_eq!(database.psql("SELECT count(*) FROM leases WHERE released_at IS NULL"), "1");
    // The same content may be tried again.
    let again = database.submit(&experiment(1)).await;
    assert!(again.jobs.iter().all(|job| !job.reused));
}

#[tokio::test]
async fn a_preempted_job_goes_back_without_counting() {
    let database = Database::new().await;
    let (job, who) = running(&database, 2, &experiment(1)).await;
    rank_ended(&database.store, who[0], RankOutcome::Preempted, "the worker leaves").await.unwrap();
    assert_eq!(database.state(job).await, "running", "the other rank is about to stop at the same step");
    rank_ended(&database.store, who[1], RankOutcome::Preempted, "").await.unwrap();
    assert_eq!(database.state(job).await, "queued");
    assert_eq!(database.psql("SELECT state FROM attempts"), "preempted");
    assert_eq!(database.psql("SELECT not_before IS NULL FROM jobs WHERE state = 'queued'"), "t");
}
