use super::*;
use crate::{
    cancel::{Cancelled, cancel},
    error::Error,
    people::{Change, set_person},
    report::{Receipt, rank_ended},
    store::targets::Target,
    submit::Submission,
    target::{older_with_results, resolve},
};
use tandem_domain::state::RankOutcome;

async fn asks(database: &TestStore, owner: &str, target: &str) -> Result<Cancelled, Error> {
    cancel(&database.store, target, &person(owner)).await
}

/// How many jobs ended; nothing of the request may go on.
async fn ended(database: &TestStore, owner: &str, target: &str) -> usize {
    let cancelled = asks(database, owner, target).await.unwrap();
    assert!(cancelled.shared.is_empty(), "{:?}", cancelled.shared);
    cancelled.jobs.len()
}

async fn submit_as(database: &TestStore, owner: &str, toml: &str, priority: Option<i32>) -> Submitted {
    let submission = Submission { by: person(owner), priority, ..submission(toml) };
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
async fn a_shared_job_ends_when_nobody_wants_it_or_an_admin_says_so() {
    let database = TestStore::open().await;
    submit_as(&database, "ada", &experiment(1), None).await;
    let jobs = ids(&submit_as(&database, "bob", &experiment(1), None).await);
    let encoder = jobs[0].to_string();
    // Ada takes back her wish, also for what starts from it; by name or by id it is the same job.
    for target in ["quickstart/encoder", &encoder] {
        let cancelled = asks(&database, "ada", target).await;
        let Ok(cancelled) = cancelled else { panic!("{target}: {cancelled:?}") };
        assert!(cancelled.jobs.is_empty());
        let shared = &cancelled.shared[0];
        assert!(!shared.cancelled && shared.wanted_by.len() == 1 && shared.wanted_by[0].owner == "bob", "{shared:?}");
    }
    let wanted = "SELECT count(*) FROM experiment_jobs WHERE withdrawn_at IS NULL";
    assert_eq!(database.values::<i64>(wanted), [3]);
    let Err(Error::Forbidden(message)) = asks(&database, "eve", &encoder).await else {
        panic!("eve wants nothing of it")
    };
    assert!(message.contains("is bob's, not yours"), "{message}");
    assert_eq!(ended(&database, "bob", "quickstart/encoder").await, 3);

    submit_as(&database, "ada", &single(1), None).await;
    let shared = ids(&submit_as(&database, "bob", &single(1), None).await)[0];
    let cancelled = asks(&database, "root", &shared.to_string()).await.unwrap();
    let owners: Vec<_> = cancelled.shared[0].wanted_by.iter().map(|one| one.owner.as_str()).collect();
    assert_eq!((cancelled.jobs.len(), owners), (1, vec!["ada", "bob"]));
}

#[tokio::test]
async fn who_is_disabled_wants_nothing_any_more_and_what_runs_stops_at_a_checkpoint() {
    let database = TestStore::open().await;
    database.workers(1).await;
    let running = ids(&submit_as(&database, "ada", &single(1), None).await)[0];
    database.schedule(&database.scheduler(), &mut None).await;
    database.execute("UPDATE attempts SET state = 'training', training_at = now()");
    let queued = ids(&submit_as(&database, "ada", &single(2), None).await)[0];
    let shared = ids(&submit_as(&database, "ada", &single(3), None).await)[0];
    submit_as(&database, "bob", &single(3), None).await;
    let change =
        Change { name: "ada".to_owned(), create: true, role: Some("submitter".to_owned()), ..Change::default() };
    set_person(&database.store, &person("root"), &change).await.unwrap();
    let change = Change { name: "ada".to_owned(), disabled: Some(true), ..Change::default() };
    let (row, cancelled) = set_person(&database.store, &person("root"), &change).await.unwrap();
    assert!(row.disabled && cancelled == 2, "{row:?}, {cancelled}");
    assert_eq!(database.state(queued).await, "cancelled");
    assert_eq!(database.state(shared).await, "queued");
    assert_eq!(database.state(running).await, "running");
    assert_eq!(database.text("SELECT stop_reason FROM attempts"), "ada was disabled by root");
    let holder = database.lease_holders(running)[0];
    let end = rank_ended(&database.store, holder, RankOutcome::Preempted, "").await.unwrap();
    assert_eq!(end, Receipt::Stored);
    assert_eq!(
        database.job(running).await,
        ("cancelled".to_owned(), "rank 0 on cpu-0: preempted; nobody wants it any more".to_owned())
    );
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
    let experiment = bobs.experiment.unwrap().to_string();
    for (owner, target) in [
        ("ada", "quickstart"),
        ("eve", "quickstart"),
        ("eve", "quickstart/encoder"),
        ("eve", "bob/quickstart"),
        ("eve", &job),
        ("eve", &experiment),
    ] {
        let Err(Error::Forbidden(message)) = asks(&database, owner, target).await else { panic!("{owner}, {target}") };
        assert!(message.contains("is bob's, not yours"), "{message}");
    }
    let by_owner = "bob/quickstart".to_owned();
    for (target, instead) in [("quickstart", &by_owner), ("quickstart/encoder", &job)] {
        let Err(Error::Refused(message)) = asks(&database, "root", target).await else { panic!("{target}") };
        assert!(message.contains("is bob's, not yours") && message.contains(instead.as_str()), "{message}");
    }
    assert_eq!(database.state(ids(&bobs)[0]).await, "queued");
    assert_eq!(ended(&database, "root", "bob/quickstart").await, 3);
}

#[tokio::test]
async fn the_priority_of_a_shared_job_falls_when_who_raised_it_withdraws() {
    let database = TestStore::open().await;
    let urgent = submit_as(&database, "ada", &single(1), Some(5)).await;
    submit_as(&database, "bob", &single(1), Some(9)).await;
    submit_as(&database, "eve", &single(1), Some(-3)).await;
    let priority = || database.values::<i32>("SELECT priority FROM jobs");
    assert_eq!(priority(), [9]);
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
    let older = async || older_with_results(&mut database.store.conn().await.unwrap(), "single", "ada").await.unwrap();
    assert_eq!(older().await, None);
    database.execute("UPDATE jobs SET state = 'succeeded', finished_at = now() WHERE spec->>'seed' = '1'");
    assert_eq!(older().await.map(|older| older.id), first.experiment);
}

#[tokio::test]
async fn a_name_stands_for_ones_own_first() {
    let database = TestStore::open().await;
    let (adas, bobs) = (
        submit_as(&database, "login:ada", &single(1), None).await,
        submit_as(&database, "bob", &single(2), None).await,
    );
    let mut conn = database.store.conn().await.unwrap();
    let (ada, bob) = (Target::Experiment(adas.experiment.unwrap()), Target::Experiment(bobs.experiment.unwrap()));
    let (adas_job, bobs_job) = (Target::Job(ids(&adas)[0]), Target::Job(ids(&bobs)[0]));
    for (own, text, found) in [
        ("login:ada", "single", ada),
        ("bob", "single", bob),
        ("eve", "single", bob),
        ("bob", "ada/single", ada),
        ("bob", "login:ada/single", ada),
        ("login:ada", "bob/single", bob),
        ("login:ada", "single/encoder", adas_job),
        ("eve", "single/encoder", bobs_job),
        ("eve", "ada/single/encoder", adas_job),
    ] {
        assert_eq!(resolve(&mut conn, text, own).await.unwrap(), found, "{own} says {text}");
    }
}

#[tokio::test]
async fn targets_are_ids_prefixes_and_names() {
    let database = TestStore::open().await;
    let old = database.submit(&experiment(1)).await;
    let new = database.submit(&experiment(2)).await;
    let job = ids(&new)[0];
    let mut conn = database.store.conn().await.unwrap();
    let newest = Target::Experiment(new.experiment.unwrap());
    assert_eq!(resolve(&mut conn, "quickstart", "ada").await.unwrap(), newest);
    assert_eq!(resolve(&mut conn, "quickstart/encoder", "ada").await.unwrap(), Target::Job(job));
    assert_eq!(resolve(&mut conn, "ada/quickstart", "ada").await.unwrap(), newest);
    assert_eq!(resolve(&mut conn, &job.to_string().to_uppercase(), "ada").await.unwrap(), Target::Job(job));
    assert_eq!(resolve(&mut conn, &job.to_string()[..20], "ada").await.unwrap(), Target::Job(job));
    let old = Target::Experiment(old.experiment.unwrap());
    let Target::Experiment(id) = old else { unreachable!() };
    assert_eq!(resolve(&mut conn, &id.to_string(), "ada").await.unwrap(), old);
    assert!(matches!(resolve(&mut conn, "nothing", "ada").await, Err(Error::NotFound(_))));
    assert!(matches!(resolve(&mut conn, "%", "ada").await, Err(Error::NotFound(_))));
    for wrong in [" ", "a\0b"] {
        assert!(matches!(resolve(&mut conn, wrong, "ada").await, Err(Error::Invalid(_))), "{wrong:?}");
    }
}
