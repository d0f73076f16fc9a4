//! A job trains for no longer than those who want it and the policy say.

use tandem_domain::place::OVER_TIME;

use super::{
    sharing::{HOUR, SET, said, set_training, stopped, submit_as},
    *,
};
use crate::sharing::{outlook::Outlooks, policy, requeue::requeue, why::why};

/// A job as it is shown.
async fn shown(database: &TestStore, job: Uuid) -> crate::store::overview::JobRow {
    crate::target::rows(&mut database.store.conn().await.unwrap(), &[job]).await.unwrap().pop().unwrap()
}

#[tokio::test]
async fn a_job_whose_time_is_over_stops_at_a_checkpoint_and_may_be_given_more() {
    let database = TestStore::open().await;
    database.workers(1).await;
    let (store, ada) = (&database.store, person("ada"));
    let limited = Submission { max_time: Some(HOUR), ..submission(&single(1)) };
    let job = ids(&submit(store, &limited).await.unwrap())[0];
    let (scheduler, mut term) = (database.scheduler(), None);
    database.schedule(&scheduler, &mut term).await;
    set_training(&database, job);
    database.schedule(&scheduler, &mut term).await;
    let asked = "SELECT stop_reason FROM attempts WHERE stop_asked_at IS NOT NULL";
    assert_eq!(database.values::<String>(asked), Vec::<String>::new(), "it has trained for five minutes");
    database.execute("UPDATE attempts SET training_at = now() - interval '61 min'");
    database.schedule(&scheduler, &mut term).await;
    assert_eq!(database.values::<String>(asked), [OVER_TIME]);
    stopped(&database, job).await;
    let (state, reason) = database.job(job).await;
    assert!(state == "failed" && reason.contains("tandem requeue --max-time"), "{state}: {reason}");
    assert_eq!(reason.matches(OVER_TIME).count(), 1, "{reason}");
    // It would stop again at once.
    let refused = said(requeue(store, &job.to_string(), None, &ada).await);
    assert!(refused.contains("has trained for 1h1m, of 1h that it may; more: --max-time"), "{refused}");
    assert!(said(requeue(store, &job.to_string(), Some(HOUR), &ada).await).contains("would stop again at once"));
    let same = Submission { max_time: Some(HOUR), ..submission(&single(1)) };
    let refused = said(submit(store, &same).await);
    assert!(refused.contains("has trained for 1h1m") && refused.contains("--fresh"), "{refused}");
    assert_eq!(database.state(job).await, "failed");
    requeue(store, &job.to_string(), Some(2 * HOUR), &ada).await.unwrap();
    database.schedule(&scheduler, &mut term).await;
    set_training(&database, job);
    database.schedule(&scheduler, &mut term).await;
    assert_eq!(database.state(job).await, "running", "it has trained for 66 of 120 minutes");
    assert_eq!(database.values::<String>(&format!("{asked} AND ended_at IS NULL")), Vec::<String>::new());
}

#[tokio::test]
async fn the_maximum_time_of_the_policy_holds_for_what_runs_and_is_in_what_is_shown_and_expected() {
    let database = TestStore::open().await;
    database.workers(1).await;
    let (store, root) = (&database.store, person("root"));
    let job = submit_as(&database, "ann", &single(1)).await[0];
    let next = submit_as(&database, "ann", &single(2)).await[0];
    let (scheduler, mut term) = (database.scheduler(), None);
    database.schedule(&scheduler, &mut term).await;
    set_training(&database, job);
    database.execute(&format!(
        "INSERT INTO progress (job_id, fence, phase, step, steps, epoch, epochs, images_per_second, seconds_left)
         SELECT job_id, fence, 'training', 1, 2, 1, 2, 1, 36000 FROM attempts WHERE job_id = '{job}'"
    ));
    let row = shown(&database, job).await;
    assert_eq!((row.longest, row.seconds_left), (None, Some(36000.0)));
    // It was submitted, and runs, before the policy is set.
    policy::set(store, &root, "[limits]\nmax_time = \"20m\"", SET).await.unwrap();
    let row = shown(&database, job).await;
    assert_eq!((row.longest, row.is_longest_by_policy), (Some(1200.0), true));
    let about_15_minutes = |left: Option<f64>| left.is_some_and(|left| (880.0..=900.0).contains(&left));
    assert!(about_15_minutes(row.seconds_left), "{row:?}");
    let workers = workers::list(&mut store.conn().await.unwrap()).await.unwrap();
    assert!(about_15_minutes(workers[0].seconds_left), "LEFT of tandem status");
    let outlooks = Outlooks::new(store.clone(), Policy::default());
    let (whys, line) = why(store, &outlooks, &next.to_string(), "ann").await.unwrap();
    let wait = (whys[0].start.unwrap().at - line.at).num_minutes();
    assert!((13..=15).contains(&wait), "the next starts when its time is over: {wait} min");
    database.execute("UPDATE attempts SET training_at = now() - interval '21 min'");
    database.schedule(&scheduler, &mut term).await;
    let asked = "SELECT stop_reason FROM attempts WHERE stop_asked_at IS NOT NULL";
    assert_eq!(database.values::<String>(asked), [OVER_TIME]);
    stopped(&database, job).await;
    assert_eq!(database.state(job).await, "failed");
    let refused = said(requeue(store, &job.to_string(), None, &person("ann")).await);
    assert!(refused.contains("20m is all that the policy allows ann (max_time)"), "{refused}");
    // It is allowed more.
    policy::set(store, &root, "[limits]\nmax_time = \"20m\"\n[people.ann]\nmax_time = \"2h\"", SET).await.unwrap();
    requeue(store, &job.to_string(), None, &person("ann")).await.unwrap();
    assert_eq!(database.state(job).await, "queued");
}

#[tokio::test]
async fn who_wants_a_shared_job_longest_counts_and_the_other_is_told() {
    let database = TestStore::open().await;
    let store = &database.store;
    let submit_for = async |who: &str, max_time| {
        let submission = Submission { by: person(who), max_time, ..submission(&single(1)) };
        submit(store, &submission).await.unwrap()
    };
    let longest = async |job| shown(&database, job).await.longest;
    let job = ids(&submit_for("ann", Some(HOUR)).await)[0];
    assert_eq!(longest(job).await, Some(3600.0));
    assert_eq!(submit_for("bob", Some(2 * HOUR)).await.notes, [""; 0]);
    assert_eq!(longest(job).await, Some(7200.0));
    let third = submit_for("cem", Some(HOUR / 2)).await;
    let told = "`encoder` trains for 2h: it was asked for before, for longer than 30m";
    assert!(third.notes.iter().any(|note| note == told), "{:?}", third.notes);
    assert_eq!(longest(job).await, Some(7200.0));
    submit_for("dan", None).await;
    assert_eq!(longest(job).await, None, "one wants it to its end");
}

#[tokio::test]
async fn a_job_that_will_hardly_end_in_its_time_is_said_to_before_it_starts() {
    let database = TestStore::open().await;
    database.workers(1).await;
    let long = single(1).replace("epochs = 2", "epochs = 20000");
    for dry_run in [true, false] {
        let limited = Submission { max_time: Some(HOUR), dry_run, ..submission(&long) };
        let notes = submit(&database.store, &limited).await.unwrap().notes;
        let told = |note: &String| note.contains("is stopped at a checkpoint after 1h (--max-time)");
        assert!(notes.iter().any(told), "dry run {dry_run}: {notes:?}");
    }
    policy::set(&database.store, &person("root"), "[limits]\nmax_time = \"2h\"", SET).await.unwrap();
    let notes = submit(&database.store, &Submission { dry_run: true, ..submission(&long) }).await.unwrap().notes;
    assert!(notes.iter().any(|note| note.contains("after 2h (max_time of the policy)")), "{notes:?}");
    let short = submit(&database.store, &Submission { dry_run: true, ..submission(&single(1)) }).await.unwrap().notes;
    assert!(!short.iter().any(|note| note.contains("checkpoint")), "{short:?}");
}
