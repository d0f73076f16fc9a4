use super::*;
use crate::{
    cancel::cancel,
    error::Error,
    report::{Receipt, rank_ended},
    store::targets::Target,
    target::resolve,
};
use tandem_domain::state::RankOutcome;

#[tokio::test]
async fn a_running_job_is_cancelled_at_once_and_takes_its_dependants_along() {
    let database = TestStore::open().await;
    database.workers(2).await;
    let jobs = ids(&database.submit(&experiment(1)).await);
    database.schedule(&database.scheduler(), &mut None).await;
    let holders = database.lease_holders(jobs[0]);
    database.execute("UPDATE leases SET dispatched_at = now() WHERE rank = 0");
    let mut cancelled = cancel(&database.store, Target::Job(jobs[0])).await.unwrap();
    cancelled.sort();
    let mut expected = jobs.clone();
    expected.sort();
    assert_eq!(cancelled, expected);
    assert_eq!(database.text("SELECT DISTINCT state::text FROM jobs"), "cancelled");
    assert_eq!(database.text("SELECT state::text FROM attempts"), "cancelled");
    // Rank 1's worker had no assignment yet and is free; rank 0 must end first.
    assert_eq!(database.values::<i32>("SELECT rank FROM leases WHERE released_at IS NULL"), [0]);
    let ended = rank_ended(&database.store, holders[0], RankOutcome::Cancelled, "").await.unwrap();
    assert_eq!(ended, Receipt::Stored);
    assert_eq!(database.state(jobs[0]).await, "cancelled");
    assert!(cancel(&database.store, Target::Job(jobs[0])).await.unwrap().is_empty(), "twice is once");
}

#[tokio::test]
async fn a_job_that_another_experiment_wants_goes_on() {
    let database = TestStore::open().await;
    let first = database.submit(&experiment(1)).await;
    let second = database.submit(&experiment(1)).await;
    let target = |submitted: &Submitted| Target::Experiment(submitted.experiment.unwrap());
    assert!(cancel(&database.store, target(&first)).await.unwrap().is_empty());
    assert_eq!(database.state(ids(&first)[0]).await, "queued");
    assert_eq!(cancel(&database.store, target(&second)).await.unwrap().len(), 3);
    assert_eq!(database.text("SELECT DISTINCT state::text FROM jobs"), "cancelled");
}

#[tokio::test]
async fn targets_are_ids_prefixes_and_names() {
    let database = TestStore::open().await;
    let old = database.submit(&experiment(1)).await;
    let new = database.submit(&experiment(2)).await;
    let job = ids(&new)[0];
    let mut conn = database.store.conn().await.unwrap();
    let newest = Target::Experiment(new.experiment.unwrap());
    assert_eq!(resolve(&mut conn, "quickstart").await.unwrap(), newest);
    assert_eq!(resolve(&mut conn, "quickstart/encoder").await.unwrap(), Target::Job(job));
    assert_eq!(resolve(&mut conn, &job.to_string().to_uppercase()).await.unwrap(), Target::Job(job));
    assert_eq!(resolve(&mut conn, &job.to_string()[..20]).await.unwrap(), Target::Job(job));
    let old = Target::Experiment(old.experiment.unwrap());
    let Target::Experiment(id) = old else { unreachable!() };
    assert_eq!(resolve(&mut conn, &id.to_string()).await.unwrap(), old);
    assert!(matches!(resolve(&mut conn, "nothing").await, Err(Error::NotFound(_))));
    assert!(matches!(resolve(&mut conn, "%").await, Err(Error::NotFound(_))));
    assert!(matches!(resolve(&mut conn, " ").await, Err(Error::Invalid(_))));
}
