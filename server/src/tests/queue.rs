//! The order of the queue, what hides nobody, and who may pass.

use std::fmt::Write as _;

use futures::FutureExt as _;
use tandem_domain::{place::Placement, state::RankOutcome};

use super::*;
use crate::{report::rank_ended, schedule::claim};

/// A sweep of encoders over these seeds.
fn sweep(name: &str, workers: u32, seeds: &str) -> String {
    format!(
        "name = \"{name}\"\ndataset = \"shapes\"\n[jobs.encoder]\nstage = \"contrastive\"\nencoder = \"resnet-tiny\"\n\
         epochs = 2\nbatch_size = 64\nworkers = {workers}\nshards = {workers}\n[jobs.encoder.sweep]\nseed = [{seeds}]\n"
    )
}

async fn finish(database: &TestStore, job: Uuid) {
    for holder in database.lease_holders(job) {
        rank_ended(&database.store, holder, RankOutcome::Succeeded, "").await.unwrap();
    }
}

#[tokio::test]
async fn the_jobs_of_a_sweep_start_in_the_order_of_the_file() {
    let database = TestStore::open().await;
    database.workers(1).await;
    let jobs = ids(&database.submit(&sweep("order", 1, "13, 12, 16, 11, 15, 14")).await);
    let (scheduler, mut term) = (database.scheduler(), None);
    for &job in &jobs {
        database.schedule(&scheduler, &mut term).await;
        assert_eq!(database.state(job).await, "running");
        finish(&database, job).await;
    }
}

#[tokio::test]
async fn the_line_is_listed_as_the_scheduler_sees_it() {
    let database = TestStore::open().await;
    let first = ids(&database.submit(&sweep("first", 1, "3, 1, 2")).await);
    let urgent = ids(&database.submit(&sweep("urgent", 1, "7")).await);
    database.execute(
        "UPDATE jobs SET priority = 5 WHERE experiment_id = (SELECT id FROM experiments WHERE name = 'urgent')",
    );
    let mut conn = database.store.conn().await.unwrap();
    let line = crate::query::jobs::line(&mut conn, 3).await.unwrap();
    assert_eq!(line.iter().map(|job| job.id).collect::<Vec<_>>(), [urgent[0], first[0], first[1]]);
    assert_eq!(line[0].experiment_name, "urgent");
}

#[tokio::test]
async fn jobs_that_are_unblocked_together_start_in_the_order_of_the_file() {
    let database = TestStore::open().await;
    database.workers(2).await;
    let jobs = ids(&database.submit(&experiment(1)).await);
    let (scheduler, mut term) = (database.scheduler(), None);
    database.schedule(&scheduler, &mut term).await;
    finish(&database, jobs[0]).await;
    database.execute("UPDATE jobs SET workers_min = 2, workers_max = 2, shards = 2, gang_min = 2");
    database.schedule(&scheduler, &mut term).await;
    assert_eq!((database.state(jobs[1]).await.as_str(), database.state(jobs[2]).await.as_str()), ("running", "queued"));
}

#[tokio::test]
async fn a_long_line_of_jobs_that_fit_nowhere_hides_nobody_and_says_why_it_waits() {
    let database = TestStore::open().await;
    let mut seeds = String::new();
    (1..=400).for_each(|seed| write!(seeds, "{seed}, ").unwrap());
    let large = ids(&database.submit(&sweep("large", 8, &seeds)).await);
    let mut wide = ids(&database.submit(&sweep("wide", 2, &seeds)).await);
    database.workers(3).await;
    database.execute("UPDATE workers SET device_kind = 'cuda', device_uuid = name WHERE name = 'cpu-2'");
    let small = ids(&database.submit(&single(1)).await)[0];
    let (scheduler, mut term) = (database.scheduler(), None);
    database.schedule(&scheduler, &mut term).await;
    // The line of `wide` is for the two CPU workers, and longer than a pass reads.
    assert_eq!(database.state(wide.remove(0)).await, "running");
    assert_eq!(database.state(small).await, "running");
    for job in [large[0], large[399]] {
        let (_, reason) = database.job(job).await;
        assert_eq!(reason, "needs 8 workers of one kind; the fleet has 2 cpu, 1 cuda");
    }
}

#[tokio::test]
async fn two_workers_on_one_device_are_one_and_nobody_spins() {
    let database = TestStore::open().await;
    let workers = database.workers(2).await;
    let pair = ids(&database.submit(&sweep("pair", 2, "1")).await)[0];
    database.execute("UPDATE workers SET device_uuid = 'GPU-1', device_kind = 'cuda'");
    let single = ids(&database.submit(&single(1)).await)[0];
    let (scheduler, mut term) = (database.scheduler(), None);
    database.schedule(&scheduler, &mut term).await;
    assert_eq!(database.state(single).await, "running", "the pair blocks nobody");
    let (_, reason) = database.job(pair).await;
    assert_eq!(
        reason,
        "needs 2 workers of one kind; the fleet has 1 cuda, 1 more on a device that another worker holds"
    );
    let number = database.value("SELECT term FROM leader");
    assert!(!claim(&database.store, number, &Placement { job: pair, workers, passed: None }, None).await.unwrap());
    assert_eq!(scheduler.notifier.schedule.notified().now_or_never(), None, "no pass follows at once");
}

#[tokio::test]
async fn a_job_in_back_off_holds_no_worker_and_is_first_afterwards() {
    let database = TestStore::open().await;
    database.workers(1).await;
    let jobs = ids(&database.submit(&sweep("retry", 1, "1, 2, 3")).await);
    let (scheduler, mut term) = (database.scheduler(), None);
    database.schedule(&scheduler, &mut term).await;
    rank_ended(&database.store, database.lease_holders(jobs[0])[0], RankOutcome::Lost, "killed").await.unwrap();
    database.execute(
        "UPDATE jobs SET not_before = now() + interval '1 h' WHERE queued_at IS NOT NULL AND state = 'queued'
                      AND started_at IS NOT NULL",
    );
    database.schedule(&scheduler, &mut term).await;
    assert_eq!(database.state(jobs[1]).await, "running", "it starts meanwhile");
    finish(&database, jobs[1]).await;
    database.execute("UPDATE jobs SET not_before = NULL");
    database.schedule(&scheduler, &mut term).await;
    assert_eq!(database.state(jobs[0]).await, "running");
}

#[tokio::test]
async fn a_short_job_passes_one_that_waits_for_a_large_gang_and_a_long_one_does_not() {
    let database = TestStore::open().await;
    database.workers(2).await;
    // A job of this kind of work has taken an hour.
    let (scheduler, mut term) = (database.scheduler(), None);
    let known = ids(&database.submit(&sweep("known", 1, "1")).await)[0];
    database.schedule(&scheduler, &mut term).await;
    finish(&database, known).await;
    database.execute("UPDATE attempts SET assigned_at = ended_at - interval '1 h'");
    let busy = ids(&database.submit(&sweep("busy", 1, "2")).await)[0];
    database.schedule(&scheduler, &mut term).await;
    database.execute(&format!(
        "INSERT INTO progress (job_id, fence, step, seconds_left)
         SELECT job_id, fence, 1, 6000 FROM attempts WHERE job_id = '{busy}'"
    ));
    let pair = ids(&database.submit(&sweep("pair", 2, "3")).await)[0];
    let behind = ids(&database.submit(&sweep("behind", 1, "4")).await)[0];
    database.execute(&format!("UPDATE jobs SET gflop = 2 * gflop WHERE id = '{behind}'"));
    database.schedule(&scheduler, &mut term).await;
    assert_eq!(database.state(pair).await, "queued");
    assert_eq!(database.state(behind).await, "queued", "it takes two hours, and a worker is free in 100 minutes");
    database.execute(&format!("UPDATE jobs SET gflop = 0.5 * gflop WHERE id = '{behind}'"));
    database.schedule(&scheduler, &mut term).await;
    assert_eq!(database.state(behind).await, "running", "75 minutes, with the margin");
}
