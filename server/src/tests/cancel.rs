use super::*;
use crate::{
    cancel::{Cancelled, cancel},
    error::Error,
    report::{Receipt, rank_ended},
    store::targets::Target,
    submit::Submission,
    target::{older_with_results, resolve},
};
use tandem_domain::state::RankOutcome;

async fn asks(database: &TestStore, owner: &str, target: &str) -> Result<Cancelled, Error> {
    cancel(&database.store, target, owner).await
}

/// How many jobs ended; nothing of the request may go on.
async fn ended(database: &TestStore, owner: &str, target: &str) -> usize {
    let cancelled = asks(database, owner, target).await.unwrap();
    assert!(cancelled.shared.is_empty(), "{:?}", cancelled.shared);
    cancelled.jobs.len()
}

async fn submit_as(database: &TestStore, owner: &str, toml: &str, priority: Option<i32>) -> Submitted {
    let submission = Submission { owner: owner.to_owned(), priority, ..submission(toml) };
    submit(&database.store, &submission).await.unwrap()
}

#[tokio::test]
async fn a_running_job_is_cancelled_at_once_and_takes_its_dependants_along() {
    let database = TestStore::open().await;
    database.workers(2).await;
    let jobs = ids(&database.submit(&experiment(1)).await);
    database.schedule(&database.scheduler(), &mut None).await;
    let holders = database.lease_holders(jobs[0]);
    database.execute("UPDATE leases SET dispatched_at = now() WHERE rank = 0");
    let encoder = jobs[0].to_string();
    let cancelled = asks(&database, "ada", &encoder).await.unwrap().jobs;
    let mut cancelled: Vec<_> = cancelled.into_iter().map(|job| job.id).collect();
    cancelled.sort();
    let mut expected = jobs.clone();
    expected.sort();
    assert_eq!(cancelled, expected);
    assert_eq!(database.text("SELECT DISTINCT state::text FROM jobs"), "cancelled");
    assert_eq!(database.text("SELECT state::text FROM attempts"), "cancelled");
    // Rank 1's worker had no assignment yet and is free; rank 0 must end first.
    assert_eq!(database.values::<i32>("SELECT rank FROM leases WHERE released_at IS NULL"), [0]);
    let rank_0 = rank_ended(&database.store, holders[0], RankOutcome::Cancelled, "").await.unwrap();
    assert_eq!(rank_0, Receipt::Stored);
    assert_eq!(database.job(jobs[0]).await, ("cancelled".to_owned(), "cancelled by ada".to_owned()));
    assert_eq!(ended(&database, "ada", &encoder).await, 0, "twice is once");
}

#[tokio::test]
async fn a_name_stands_for_all_that_its_owner_submitted_under_it_and_that_goes_on() {
    let database = TestStore::open().await;
    for seed in [1, 1, 2] {
        database.submit(&experiment(seed)).await;
    }
    assert_eq!(ended(&database, "ada", "quickstart").await, 6);
    assert_eq!(database.text("SELECT DISTINCT state::text FROM jobs"), "cancelled");
    assert_eq!(ended(&database, "ada", "quickstart").await, 0);
}

#[tokio::test]
async fn a_job_that_another_experiment_wants_goes_on_and_the_answer_says_which() {
    let database = TestStore::open().await;
    let first = database.submit(&experiment(1)).await.experiment.unwrap();
    let second = database.submit(&experiment(1)).await.experiment.unwrap();
    // Repeated, it says the same.
    for _ in 0..2 {
        let cancelled = asks(&database, "ada", &second.to_string()).await.unwrap();
        assert!(cancelled.jobs.is_empty());
        assert_eq!(cancelled.shared.len(), 3);
        for shared in cancelled.shared {
            assert!(!shared.cancelled);
            assert_eq!(shared.wanted_by.iter().map(|one| one.id).collect::<Vec<_>>(), [first]);
        }
    }
    assert_eq!(ended(&database, "ada", "quickstart").await, 3, "by its name, it can still be cancelled");
}

#[tokio::test]
async fn a_job_that_is_named_itself_ends_for_all_that_want_it() {
    let database = TestStore::open().await;
    submit_as(&database, "ada", &single(1), None).await;
    submit_as(&database, "bob", &single(1), None).await;
    let cancelled = asks(&database, "ada", "single/encoder").await.unwrap();
    assert_eq!(cancelled.jobs.len(), 1);
    assert!(cancelled.shared[0].cancelled);
    let owners: Vec<_> = cancelled.shared[0].wanted_by.iter().map(|one| one.owner.as_str()).collect();
    assert_eq!(owners, ["ada", "bob"]);
}

#[tokio::test]
async fn another_accounts_experiment_is_not_cancelled_by_its_name_alone() {
    let database = TestStore::open().await;
    submit_as(&database, "ada", &experiment(1), None).await;
    let bobs = submit_as(&database, "bob", &experiment(2), None).await;
    // Bob's is newer, but ada means her own.
    assert_eq!(ended(&database, "ada", "quickstart").await, 3);
    assert_eq!(database.state(ids(&bobs)[0]).await, "queued");
    let job = ids(&bobs)[0].to_string();
    let by_owner = "bob/quickstart".to_owned();
    for (owner, target, instead) in
        [("ada", "quickstart", &by_owner), ("eve", "quickstart", &by_owner), ("eve", "quickstart/encoder", &job)]
    {
        let Err(Error::Refused(message)) = asks(&database, owner, target).await else { panic!("{owner}, {target}") };
        assert!(message.contains("is bob's, not yours") && message.contains(instead.as_str()), "{message}");
    }
    assert_eq!(database.state(ids(&bobs)[0]).await, "queued");
    assert_eq!(ended(&database, "eve", "bob/quickstart").await, 3);
}

#[tokio::test]
async fn the_priority_of_a_shared_job_falls_when_who_raised_it_withdraws() {
    let database = TestStore::open().await;
    let urgent = submit_as(&database, "ada", &single(1), Some(5)).await;
    submit_as(&database, "bob", &single(1), Some(90)).await;
    submit_as(&database, "eve", &single(1), Some(-3)).await;
    let priority = || database.values::<i32>("SELECT priority FROM jobs");
    assert_eq!(priority(), [90]);
    asks(&database, "bob", "single").await.unwrap();
    assert_eq!(priority(), [5]);
    asks(&database, "ada", &urgent.experiment.unwrap().to_string()).await.unwrap();
    assert_eq!(priority(), [-3]);
}

#[tokio::test]
async fn many_cancels_at_once_do_not_wait_for_each_others_connections() {
    let database = TestStore::open().await;
    let mut jobs = Vec::new();
    for seed in 0..30 {
        jobs.extend(ids(&database.submit(&single(seed)).await));
    }
    let all =
        futures::future::join_all(jobs.iter().map(async |id| asks(&database, "ada", &id.to_string()).await)).await;
    assert!(all.iter().all(|one| one.as_ref().is_ok_and(|one| one.jobs.len() == 1)), "{all:?}");
}

#[tokio::test]
async fn an_older_experiment_of_the_name_that_has_results_is_found() {
    let database = TestStore::open().await;
    let first = database.submit(&single(1)).await;
    database.submit(&single(2)).await;
    let older = async || older_with_results(&mut database.store.conn().await.unwrap(), "single").await.unwrap();
    assert_eq!(older().await, None);
    database.execute("UPDATE jobs SET state = 'succeeded', finished_at = now() WHERE spec->>'seed' = '1'");
    assert_eq!(older().await.map(|older| older.id), first.experiment);
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
    assert_eq!(resolve(&mut conn, "ada/quickstart").await.unwrap(), newest);
    assert_eq!(resolve(&mut conn, &job.to_string().to_uppercase()).await.unwrap(), Target::Job(job));
    assert_eq!(resolve(&mut conn, &job.to_string()[..20]).await.unwrap(), Target::Job(job));
    let old = Target::Experiment(old.experiment.unwrap());
    let Target::Experiment(id) = old else { unreachable!() };
    assert_eq!(resolve(&mut conn, &id.to_string()).await.unwrap(), old);
    assert!(matches!(resolve(&mut conn, "nothing").await, Err(Error::NotFound(_))));
    assert!(matches!(resolve(&mut conn, "%").await, Err(Error::NotFound(_))));
    for wrong in [" ", "a\0b"] {
        assert!(matches!(resolve(&mut conn, wrong).await, Err(Error::Invalid(_))), "{wrong:?}");
    }
}
