//! Who submits and who deletes at the same moment.

use std::time::Duration;

use tandem_harness::until_async;

use super::*;
use crate::store::{experiments, jobs};

/// No experiment has a job that is deleted, and no job whose files go is one that may be shared.
fn check(database: &TestStore) {
    assert_eq!(
        database.count("experiment_jobs link JOIN jobs j ON j.id = link.job_id WHERE j.deleted_at IS NOT NULL"),
        0
    );
    assert_eq!(
        database.count("removals r JOIN jobs j ON j.id = r.job_id WHERE r.is_whole AND j.deleted_at IS NULL"),
        0
    );
    assert_eq!(
        database.count(
            "job_dependencies d JOIN jobs later ON later.id = d.job_id JOIN jobs j ON j.id = d.depends_on
             WHERE j.deleted_at IS NOT NULL AND later.deleted_at IS NULL"
        ),
        0
    );
}

/// Waits until a statement waits for a lock.
async fn one_waits(database: &TestStore, what: &str) {
    let waiting = "pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    let waits = async || (database.count(waiting) == 1).then_some(());
    until_async(what, Duration::from_secs(30), waits).await;
}

#[tokio::test]
async fn a_submit_that_has_found_the_job_keeps_it() {
    let database = TestStore::open().await;
    let job = submit_as(&database, "ada", &single(1)).await[0];
    succeed(&database, &[job], 0).await;
    let key = database.text(&format!("SELECT content_key FROM jobs WHERE id = '{job}'"));
    let brought = database.value::<Uuid>("SELECT id FROM experiments");
    // A submit that has come as far as this.
    let mut tx = database.store.begin().await.unwrap();
    assert_eq!(jobs::share(&mut tx, &key, 0).await.unwrap(), Some(job));
    let store = database.store.clone();
    let deleting = tokio::spawn(async move { delete(&store, "single", NOW, &person("ada")).await });
    one_waits(&database, "the delete waits for the submit").await;
    assert!(!deleting.is_finished());
    let link = experiments::Link { name: "other".to_owned(), job_id: job, content_key: key, reused: true };
    // Of another experiment: any will do.
    database.execute(
        "INSERT INTO experiments (id, name, owner, toml, file_name, fresh) VALUES (gen_random_uuid(), 'bobs', 'bob', '', '', false)",
    );
    let bobs: Uuid = database.value(&format!("SELECT id FROM experiments WHERE id <> '{brought}'"));
    experiments::link(&mut tx, bobs, 0, &link).await.unwrap();
    tx.commit().await.unwrap();
    let taken = deleting.await.unwrap().unwrap();
    assert!(taken.jobs.gone.is_empty() && taken.jobs.stays[0].why == ["bob's `bobs` has it"], "{taken:?}");
    check(&database);
}

#[tokio::test]
async fn a_submit_that_comes_later_finds_it_gone_and_runs_anew() {
    let database = TestStore::open().await;
    let job = submit_as(&database, "ada", &single(1)).await[0];
    succeed(&database, &[job], 0).await;
    // A delete that has come as far as this.
    let mut tx = database.store.begin().await.unwrap();
    jobs::lock(&mut tx, &[job]).await.unwrap();
    let store = database.store.clone();
    let submitting = tokio::spawn(async move {
        let bobs = Submission { by: person("bob"), ..submission(&single(1)) };
        submit(&store, &bobs).await
    });
    one_waits(&database, "the submit waits for the delete").await;
    assert!(!submitting.is_finished());
    let wanted = crate::store::wishes::of_jobs(&mut tx, &[job], None).await.unwrap();
    let live = crate::keeping::take_back::Live::Refuse;
    crate::keeping::take_back::take_back(&mut tx, &wanted, "deleted", live).await.unwrap();
    tx.commit().await.unwrap();
    let submitted = submitting.await.unwrap().unwrap();
    assert!(submitted.jobs[0].reused.is_none() && submitted.jobs[0].id != Some(job), "{submitted:?}");
    check(&database);
}

#[tokio::test]
async fn whoever_is_first_nobody_shares_a_job_whose_files_go() {
    let database = TestStore::open().await;
    let (mut shared, mut anew) = (0, 0);
    for round in 0..24 {
        let toml = experiment(round);
        let jobs = submit_as(&database, "ada", &toml).await;
        succeed(&database, &jobs, 0).await;
        let bobs = Submission { by: person("bob"), ..submission(&toml) };
        let delay = Duration::from_micros(u64::from(round) * 700);
        let (taken, submitted) = tokio::join!(deletes(&database, "ada", "quickstart", NOW), async {
            tokio::time::sleep(delay).await;
            submit(&database.store, &bobs).await
        });
        taken.unwrap();
        let reused = submitted.unwrap().jobs.iter().filter(|job| job.reused.is_some()).count();
        assert!(reused == 0 || reused == 3, "{reused} of 3");
        *(if reused == 3 { &mut shared } else { &mut anew }) += 1;
        check(&database);
        database.execute("UPDATE jobs SET state = 'cancelled', finished_at = now() WHERE finished_at IS NULL");
    }
    println!("{shared} were shared, {anew} ran anew");
}

#[tokio::test]
async fn two_deletes_at_once_are_one() {
    let database = TestStore::open().await;
    let jobs = submit_as(&database, "ada", &experiment(1)).await;
    succeed(&database, &jobs, 0).await;
    let id = database.text("SELECT id::text FROM experiments");
    let outcomes = futures::future::join_all((0..4).map(|_| deletes(&database, "ada", &id, NOW))).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1, "{outcomes:?}");
    assert!(
        outcomes
            .iter()
            .flat_map(|outcome| outcome.as_ref().err())
            .all(|error| { matches!(error, Error::NotFound(_) | Error::Conflict(_)) })
    );
    assert_eq!(database.count("removals"), 3);
    check(&database);
}
