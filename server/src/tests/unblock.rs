use std::time::Duration;

use tandem_domain::state::{JobEvent, JobState};

use tandem_harness::until_async;

use super::*;
use crate::{
    store::{Tx, jobs},
    unblock::unblock,
};

/// Moves a job to success, in a transaction of its own that is not committed.
async fn succeed(database: &TestStore, job: Uuid) -> Tx {
    database.execute(&format!("UPDATE jobs SET state = 'running', started_at = now() WHERE id = '{job}'"));
    let mut tx = database.store.begin().await.unwrap();
    let end = JobEvent::Succeeded;
    let state = jobs::transition(&mut tx, job, JobState::Running, end, "", Duration::ZERO).await.unwrap();
    assert_eq!(state, Some(JobState::Succeeded));
    tx
}

const LIMIT: Duration = Duration::from_secs(30);

async fn pass(database: &TestStore) {
    let mut tx = database.store.begin().await.unwrap();
    unblock(&mut tx).await.unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn inputs_that_end_at_the_same_time_are_both_seen() {
    let database = TestStore::open().await;
    let jobs = ids(&database.submit(&experiment(1)).await);
    let others = ids(&database.submit(&experiment(2)).await);
    // The linear job waits for both encoders.
    let (one, other, waiting) = (jobs[0], others[0], jobs[1]);
    database.execute(&format!("INSERT INTO job_dependencies VALUES ('{waiting}', '{other}', 1)"));
    pass(&database).await;
    let (first, second) = (succeed(&database, one).await, succeed(&database, other).await);
    second.commit().await.unwrap();
    pass(&database).await;
    assert_eq!(database.state(waiting).await, "blocked", "the other input has not ended yet");
    first.commit().await.unwrap();
    pass(&database).await;
    assert_eq!(database.state(waiting).await, "queued");
    assert_eq!(database.count("inputs_ended"), 0);
}

#[tokio::test]
async fn a_job_whose_input_ended_before_it_was_submitted_is_queued() {
    let database = TestStore::open().await;
    let toml = experiment(1);
    let encoder = ids(&database.submit(&toml).await)[0];
    succeed(&database, encoder).await.commit().await.unwrap();
    pass(&database).await;
    let more = database.submit(&toml.replace("0.1]", "0.5]")).await;
    assert!(more.jobs[0].reused.is_some() && more.jobs[2].reused.is_none());
    pass(&database).await;
    assert_eq!(database.state(ids(&more)[2]).await, "queued");
}

#[tokio::test]
async fn a_decision_that_is_rolled_back_is_made_again() {
    let database = TestStore::open().await;
    let jobs = ids(&database.submit(&experiment(1)).await);
    succeed(&database, jobs[0]).await.commit().await.unwrap();
    let mut tx = database.store.begin().await.unwrap();
    unblock(&mut tx).await.unwrap();
    // Another pass does not wait for it, and decides nothing that it has taken.
    pass(&database).await;
    assert_eq!(database.state(jobs[1]).await, "blocked");
    drop(tx);
    until_async("what was taken is free again", LIMIT, async || {
        pass(&database).await;
        (database.state(jobs[1]).await == "queued").then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_job_that_was_missed_is_found_by_a_new_leader() {
    let database = TestStore::open().await;
    let jobs = ids(&database.submit(&experiment(1)).await);
    let (scheduler, mut term) = (database.scheduler(), None);
    database.schedule(&scheduler, &mut term).await;
    database.execute(&format!(
        "UPDATE jobs SET state = 'succeeded', finished_at = now(), started_at = now() WHERE id = '{}'",
        jobs[0]
    ));
    database.schedule(&scheduler, &mut term).await;
    assert_eq!(database.state(jobs[1]).await, "blocked", "nobody said that its input has ended");
    database.schedule(&scheduler, &mut None).await;
    assert_eq!(database.state(jobs[1]).await, "queued");
}
