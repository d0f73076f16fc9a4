use std::collections::HashSet;

use futures::future::join_all;

use super::*;
use crate::error::Error;

#[tokio::test]
async fn ten_submits_of_one_content_are_one_job_each() {
    let database = TestStore::open().await;
    let toml = experiment(1);
    let all = join_all((0..10).map(|_| database.submit(&toml))).await;
    let experiments: HashSet<_> = all.iter().map(|submitted| submitted.experiment).collect();
    let jobs: HashSet<_> = all.iter().map(ids).collect();
    assert_eq!((experiments.len(), jobs.len()), (10, 1));
    let reused = all.iter().flat_map(|submitted| &submitted.jobs).filter(|job| job.reused.is_some()).count();
    assert_eq!(reused, 9 * 3);
    assert_eq!(database.rows::<(i64, i64)>("SELECT count(*), count(DISTINCT content_key) FROM jobs"), [(3, 3)]);
    assert_eq!(database.count("job_dependencies"), 2);
}

#[tokio::test]
async fn ten_submits_of_ten_contents_all_land() {
    let database = TestStore::open().await;
    let files: Vec<_> = (0..10).map(single).collect();
    join_all(files.iter().map(|toml| database.submit(toml))).await;
    let counts = "SELECT count(*), count(DISTINCT content_key) FROM jobs WHERE state = 'queued'";
    assert_eq!(database.rows::<(i64, i64)>(counts), [(10, 10)]);
}

#[tokio::test]
async fn a_submit_that_is_sent_ten_times_is_one_experiment() {
    let database = TestStore::open().await;
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
    assert_eq!(database.count("experiments"), 1);
    assert_eq!(database.count("jobs"), 3);

    let other = Submission { toml: single(1), ..submission };
    assert!(matches!(submit(&database.store, &other).await, Err(Error::Conflict(_))));
}

#[tokio::test]
async fn fresh_shares_nothing() {
    let database = TestStore::open().await;
    let first = database.submit(&experiment(1)).await;
    let again = Submission { fresh: true, ..submission(&experiment(1)) };
    let second = submit(&database.store, &again).await.unwrap();
    assert!(second.jobs.iter().all(|job| job.reused.is_none()));
    assert!(ids(&first).iter().all(|id| !ids(&second).contains(id)));
}

#[tokio::test]
async fn a_wrong_file_stores_nothing() {
    let database = TestStore::open().await;
    let wrong = experiment(1).replace("epochs = 2", "epoch = 2");
    let Err(Error::Invalid(message)) = submit(&database.store, &submission(&wrong)).await else { panic!("accepted") };
    assert!(message.starts_with("test.toml:") && message.contains("epochs"), "{message}");
    assert_eq!(database.count("experiments"), 0);
}

#[tokio::test]
async fn a_gang_larger_than_the_fleet_is_refused_once_there_is_a_fleet() {
    let database = TestStore::open().await;
    database.submit(&experiment(1)).await;
    database.workers(1).await;
    let Err(Error::Refused(message)) = submit(&database.store, &submission(&experiment(2))).await else {
        panic!("accepted")
    };
    assert!(message.contains("`encoder`: asks for 2 workers of one kind, but the fleet has 1 cpu"), "{message}");
    let dry_run = Submission { dry_run: true, ..submission(&experiment(2)) };
    let shown = submit(&database.store, &dry_run).await.unwrap();
    assert!(shown.experiment.is_none() && shown.jobs[0].planned.refusal.is_some());
    assert_eq!(database.count("experiments"), 1);
}

#[tokio::test]
async fn a_dry_run_says_what_would_be_reused_and_stores_nothing() {
    let database = TestStore::open().await;
    database.submit(&experiment(1)).await;
    let dry_run = |seed| Submission { dry_run: true, ..submission(&experiment(seed)) };
    let known = submit(&database.store, &dry_run(1)).await.unwrap();
    let new = submit(&database.store, &dry_run(2)).await.unwrap();
    assert!(known.jobs.iter().all(|job| job.reused.is_some() && job.id.is_none()));
    assert!(new.jobs.iter().all(|job| job.reused.is_none()));
    assert_eq!(database.count("experiments"), 1);
}

/// Makes these jobs ones that have run on two workers for so many seconds.
fn set_run(database: &TestStore, jobs: &[Uuid], seconds: u32) {
    for job in jobs {
        database.execute(&format!(
            "UPDATE jobs SET state = 'succeeded', finished_at = clock_timestamp(), queued_at = now(), ran_on = 'cpu'
             WHERE id = '{job}';
             INSERT INTO attempts (id, job_id, number, leader_term, world_size, state, assigned_at, ended_at)
             VALUES (gen_random_uuid(), '{job}', 1, 1, 2, 'succeeded', now(), now() + interval '{seconds} s');
             INSERT INTO leases (attempt_id, rank, worker_id, device, fence, expires_at, released_at, outcome)
             SELECT a.id, 0, (SELECT id FROM workers ORDER BY name LIMIT 1), 'a device', a.fence, now(), now(), 'succeeded'
             FROM attempts a WHERE a.job_id = '{job}'"
        ));
    }
}

#[tokio::test]
async fn a_dry_run_judges_the_time_by_what_was_measured() {
    let database = TestStore::open().await;
    let dry_run = async |toml: String| {
        let shown = submit(&database.store, &Submission { dry_run: true, ..submission(&toml) }).await.unwrap();
        shown.jobs.into_iter().map(|job| (job.planned.estimate.gflop, job.time)).collect::<Vec<_>>()
    };
    database.workers(2).await;
    let blank = dry_run(experiment(2)).await;
    let (gflop, guess) = &blank[0];
    assert_eq!(guess.basis, "75 GFLOP/s a thread assumed: no job of known work has run here yet");
    assert!((guess.seconds - (4.0 + gflop / 150.0)).abs() < 1e-6, "two threads of 75: {guess:?} for {gflop}");

    // Two epochs on two workers took 24 s, 4 of them to start and to end.
    let encoder = ids(&database.submit(&experiment(1)).await)[0];
    set_run(&database, &[encoder], 24);
    let judged = dry_run(experiment(2)).await;
    assert!((judged[0].1.seconds - 24.0).abs() < 1e-6, "{judged:?}");
    let speed = gflop / 20.0 / 2.0;
    assert_eq!(judged[0].1.basis, format!("{speed:.0} GFLOP/s a thread, as `quickstart/encoder` ran"));
    let twice = dry_run(experiment(2).replace("epochs = 2", "epochs = 4").replace("workers = 2", "workers = 1")).await;
    let expected = 4.0 + twice[0].0 / speed;
    assert!((twice[0].1.seconds - expected).abs() < 1e-6, "twice the work at half the speed: {twice:?}");

    // A linear job is another kind of work, on one worker; the encoder's speed is better than none.
    let (gflop, linear) = &judged[1];
    assert!((linear.seconds - (4.0 + gflop / speed)).abs() < 1e-6, "{linear:?}");
    let unlike = "ran (contrastive resnet-tiny): no job of this kind has yet";
    assert!(linear.basis.ends_with(unlike), "{linear:?}");
}

#[tokio::test]
async fn another_device_or_an_attempt_from_a_checkpoint_is_no_precedent() {
    let database = TestStore::open().await;
    database.workers(2).await;
    let encoder = ids(&database.submit(&experiment(1)).await)[0];
    set_run(&database, &[encoder], 24);
    let basis = async || {
        let dry_run = Submission { dry_run: true, ..submission(&experiment(2)) };
        submit(&database.store, &dry_run).await.unwrap().jobs[0].time.basis.clone()
    };
    assert!(basis().await.contains("as `quickstart/encoder` ran"));
    database.execute("UPDATE attempts SET first_step = 5");
    assert!(basis().await.contains("no job of known work has run here yet"));
    database.execute("UPDATE attempts SET first_step = 0; UPDATE workers SET device_kind = 'cuda'");
    assert!(basis().await.contains("5000 GFLOP/s a device assumed"), "it ran on another device");
    database.execute("UPDATE jobs SET ran_on = 'cuda' WHERE ran_on = 'cpu'");
    assert!(basis().await.contains("as `quickstart/encoder` ran"), "on what is there");
}
