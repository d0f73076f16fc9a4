use std::collections::HashSet;

use futures::future::join_all;

use super::*;
use crate::error::Error;

#[tokio::test]
async fn ten_submits_of_one_content_are_one_job_each() {
    let database = Database::new().await;
    let toml = experiment(1);
    let all = join_all((0..10).map(|_| database.submit(&toml))).await;
    let experiments: HashSet<_> = all.iter().map(|submitted| submitted.experiment).collect();
    let jobs: HashSet<_> = all.iter().map(ids).collect();
    assert_eq!((experiments.len(), jobs.len()), (10, 1));
    let reused = all.iter().flat_map(|submitted| &submitted.jobs).filter(|job| job.reused).count();
    assert_eq!(reused, 9 * 3);
    assert_eq!(database.psql("SELECT count(*), count(DISTINCT content_key) FROM jobs"), "3|3");
    assert_eq!(database.psql("SELECT count(*) FROM job_dependencies"), "2");
}

#[tokio::test]
async fn ten_submits_of_ten_contents_all_land() {
    let database = Database::new().await;
    let files: Vec<_> = (0..10).map(single).collect();
    join_all(files.iter().map(|toml| database.submit(toml))).await;
    assert_eq!(database.psql("SELECT count(*), count(DISTINCT content_key) FROM jobs WHERE state = 'queued'"), "10|10");
}

#[tokio::test]
async fn a_submit_that_is_sent_ten_times_is_one_experiment() {
    let database = Database::new().await;
    let submission = Submission { idempotency_key: "once".to_owned(), fresh: true, ..submission(&experiment(1)) };
    let all = join_all((0..10).map(|_| submit(&database.store, &submission))).await;
    let answers: HashSet<_> = all
        .iter()
        .map(|submitted| {
            let submitted = submitted.as_ref().unwrap();
            let keys: Vec<_> = submitted.jobs.iter().map(|job| job.planned.content_key.clone()).collect();
            (submitted.experiment, ids(submitted), keys)
        })
        .collect();
    assert_eq!(answers.len(), 1, "every retry gets the same answer");
    assert_eq!(database.psql("SELECT count(*) FROM experiments"), "1");
    assert_eq!(database.psql("SELECT count(*) FROM jobs"), "3");

    let other = Submission { toml: single(1), ..submission };
    assert!(matches!(submit(&database.store, &other).await, Err(Error::Conflict(_))));
}

#[tokio::test]
async fn fresh_shares_nothing() {
    let database = Database::new().await;
    let first = database.submit(&experiment(1)).await;
    let again = Submission { fresh: true, ..submission(&experiment(1)) };
    let second = submit(&database.store, &again).await.unwrap();
    assert!(second.jobs.iter().all(|job| !job.reused));
    assert!(ids(&first).iter().all(|id| !ids(&second).contains(id)));
}

#[tokio::test]
async fn a_wrong_file_stores_nothing() {
    let database = Database::new().await;
    let wrong = experiment(1).replace("epochs = 2", "epoch = 2");
    let Err(Error::Invalid(message)) = submit(&database.store, &submission(&wrong)).await else { panic!("accepted") };
    assert!(message.starts_with("test.toml:") && message.contains("epochs"), "{message}");
    assert_eq!(database.psql("SELECT count(*) FROM experiments"), "0");
}

#[tokio::test]
async fn a_gang_larger_than_the_fleet_is_refused_once_there_is_a_fleet() {
    let database = Database::new().await;
    database.submit(&experiment(1)).await;
    database.workers(1).await;
    let Err(Error::Refused(message)) = submit(&database.store, &submission(&experiment(2))).await else {
        panic!("accepted")
    };
    assert!(message.contains("`encoder`: asks for 2 workers of one kind, but the fleet has 1 cpu"), "{message}");
    let dry_run = Submission { dry_run: true, ..submission(&experiment(2)) };
    let shown = submit(&database.store, &dry_run).await.unwrap();
    assert!(shown.experiment.is_none() && shown.jobs[0].planned.refusal.is_some());
    assert_eq!(database.psql("SELECT count(*) FROM experiments"), "1");
}

#[tokio::test]
async fn a_dry_run_says_what_would_be_reused_and_stores_nothing() {
    let database = Database::new().await;
    database.submit(&experiment(1)).await;
    let dry_run = |seed| Submission { dry_run: true, ..submission(&experiment(seed)) };
    let known = submit(&database.store, &dry_run(1)).await.unwrap();
    let new = submit(&database.store, &dry_run(2)).await.unwrap();
    assert!(known.jobs.iter().all(|job| job.reused && job.id.is_none()));
    assert!(new.jobs.iter().all(|job| !job.reused));
    assert_eq!(database.psql("SELECT count(*) FROM experiments"), "1");
}

#[tokio::test]
async fn a_dry_run_judges_the_time_by_what_was_measured() {
    let database = Database::new().await;
    let dry_run = |toml: String| Submission { dry_run: true, ..submission(&toml) };
    let blank = submit(&database.store, &dry_run(experiment(2))).await.unwrap();
    assert!(blank.jobs.iter().all(|job| job.duration.seconds == 0.0 && job.duration.basis.is_empty()));

    database.submit(&experiment(1)).await;
    database.psql("UPDATE jobs SET state = 'succeeded', finished_at = now(), queued_at = now()");
    database.psql(
        "INSERT INTO results SELECT id, 'images_per_second', 500, 1, now() FROM jobs WHERE stage = 'contrastive';
         INSERT INTO results SELECT id, 'seconds', 9, 1, now() FROM jobs WHERE spec -> 'stage' @> '{\"label_fraction\": 0.1}'",
    );
    let judged = submit(&database.store, &dry_run(experiment(2))).await.unwrap();
    let images = judged.jobs[0].planned.estimate.images_per_epoch as f64 * 2.0;
    assert_eq!(judged.jobs[0].duration.seconds, images / 500.0);
    assert_eq!(judged.jobs[0].duration.basis, "500 images/s, as `quickstart/encoder` ran");
    let seconds: Vec<f64> = judged.jobs[1..].iter().map(|job| job.duration.seconds).collect();
    assert_eq!(seconds, [0.0, 9.0], "other work takes another time");
}
