//! A house is shared: policy, turns, limits, holds, pauses, asking again, and what is said of starts.

use std::time::Duration;

use tandem_domain::state::RankOutcome;

use super::*;
use crate::{
    error::Error,
    report::rank_ended,
    sharing::{
        outlook::Outlooks,
        pause::{pause, resume},
        policy::{self, Setting},
        priority::set_priority,
        requeue::requeue,
        why::why,
        withhold::{drain, hold, undrain, unhold},
    },
};

pub(super) const SET: Setting<'static> = Setting { file_name: "ours.toml", dry_run: false, instead_of: None };
pub(super) const HOUR: Duration = Duration::from_secs(3600);

/// `count` jobs of one worker each, which differ in their seeds.
fn jobs(name: &str, count: u32, seed: u32) -> String {
    let sweep: Vec<String> = (0..count).map(|job| (seed + job).to_string()).collect();
    format!(
        "name = \"{name}\"\ndataset = \"shapes\"\n[jobs.encoder]\nstage = \"contrastive\"\nencoder = \"resnet-tiny\"\n\
         epochs = 2\nbatch_size = 64\nworkers = 1\n[jobs.encoder.sweep]\nseed = [{}]\n",
        sweep.join(", ")
    )
}

pub(super) async fn submit_as(database: &TestStore, who: &str, toml: &str) -> Vec<Uuid> {
    let submission = Submission { by: person(who), ..submission(toml) };
    ids(&submit(&database.store, &submission).await.unwrap())
}

pub(super) fn set_training(database: &TestStore, job: Uuid) {
    database.execute(&format!(
        "UPDATE attempts SET state = 'training', training_at = now() - interval '5 min', assigned_at = now() - interval '5 min'
         WHERE job_id = '{job}' AND ended_at IS NULL;
         UPDATE leases SET dispatched_at = now(), has_reported = true"
    ));
}

/// Its rank stops at a checkpoint, as it was asked to.
pub(super) async fn stopped(database: &TestStore, job: Uuid) {
    database.execute(&format!(
        "INSERT INTO checkpoints SELECT job_id, 5, 'p', 's', 1, fence, now(), now() FROM attempts
         WHERE job_id = '{job}' AND ended_at IS NULL ON CONFLICT DO NOTHING"
    ));
    let asked = format!("SELECT stop_reason FROM attempts WHERE job_id = '{job}' AND ended_at IS NULL");
    let cause = format!("stopped with a checkpoint: {}", database.value::<String>(&asked));
    for holder in database.lease_holders(job) {
        rank_ended(&database.store, holder, RankOutcome::Preempted, &cause).await.unwrap();
    }
}

fn running_by_owner(database: &TestStore) -> String {
    let query = "SELECT owner || ' ' || count(*) FROM jobs WHERE state = 'running' GROUP BY owner ORDER BY owner";
    database.values::<String>(query).join(", ")
}

pub(super) fn said(outcome: Result<impl std::fmt::Debug, Error>) -> String {
    outcome.unwrap_err().to_string()
}

#[tokio::test]
async fn a_policy_is_checked_kept_with_its_versions_and_the_old_one_stays_if_it_is_wrong() {
    let database = TestStore::open().await;
    let (store, root) = (&database.store, person("root"));
    let set = async |toml: &str, setting| policy::set(store, &root, toml, setting).await;
    assert_eq!(policy::current(&mut store.conn().await.unwrap()).await.unwrap().0, 0);
    set("[limits]\nqueued_jobs = 3", SET).await.unwrap();
    let wrong = said(set("[limits]\nqueued = 3\nhold = 5", SET).await);
    assert!(wrong.contains("the policy is wrong: 2 mistakes in ours.toml\nours.toml:2:1: "), "{wrong}");
    assert!(wrong.contains("\nours.toml:3:8: ") && !wrong.contains("experiment"), "{wrong}");
    assert!(said(set("# queued_jobs = 3", SET).await).contains("would end every limit"));
    set("[limits]\nqueued_jobs = 9", Setting { dry_run: true, ..SET }).await.unwrap();
    let (version, house) = policy::current(&mut store.conn().await.unwrap()).await.unwrap();
    assert_eq!((version, house.limits.queued_jobs), (1, Some(3)));
    let stale = Setting { instead_of: Some(0), ..SET };
    let other = "[limits]\nhold = \"2h\"\n[people.zoe]\nqueued_jobs = 7";
    assert!(said(set(other, stale).await).contains("version 1 of the policy is in force, not 0"));
    let after = set(other, Setting { instead_of: Some(1), ..SET }).await.unwrap();
    let expected = [
        "limits.hold: \"2h\", was \"12h\"",
        "limits.queued_jobs: not set any more, was 3",
        "people.zoe.queued_jobs: 7, was not set",
    ];
    assert_eq!(after.changes, expected);
    assert!(after.notes.len() == 1 && after.notes[0].contains("nobody here is called `zoe`"), "{:?}", after.notes);
    let audited: Vec<String> = database.values("SELECT who || ' ' || what || ' ' || object FROM audit ORDER BY at");
    assert_eq!(audited, ["root Policies/Set version 1", "root Policies/Set version 2"]);
}

#[tokio::test]
async fn people_take_turns_and_who_has_used_much_waits() {
    let database = TestStore::open().await;
    database.workers(4).await;
    submit_as(&database, "ann", &jobs("a", 10, 0)).await;
    submit_as(&database, "bob", &jobs("b", 10, 100)).await;
    let (scheduler, mut term) = (database.scheduler(), None);
    database.schedule(&scheduler, &mut term).await;
    assert_eq!(running_by_owner(&database), "ann 2, bob 2");

    let database = TestStore::open().await;
    database.workers(4).await;
    submit_as(&database, "ann", &jobs("a", 10, 0)).await;
    submit_as(&database, "bob", &jobs("b", 10, 100)).await;
    database.execute("INSERT INTO device_use VALUES ('ann', date_trunc('hour', now()), 'cpu', 36000)");
    let (scheduler, mut term) = (database.scheduler(), None);
    database.schedule(&scheduler, &mut term).await;
    assert_eq!(running_by_owner(&database), "bob 4");

    let database = TestStore::open().await;
    database.workers(4).await;
    policy::set(&database.store, &person("root"), "[limits]\nrunning_devices = 1", SET).await.unwrap();
    let jobs_of_ann = submit_as(&database, "ann", &jobs("a", 10, 0)).await;
    submit_as(&database, "bob", &jobs("b", 10, 100)).await;
    let (scheduler, mut term) = (database.scheduler(), None);
    database.schedule(&scheduler, &mut term).await;
    assert_eq!(running_by_owner(&database), "ann 1, bob 1");
    assert!(database.job(jobs_of_ann[9]).await.1.contains("ann runs on 1 device, of 1 that the policy allows"));
}

#[tokio::test]
async fn what_an_attempt_took_is_counted_by_the_hour_for_whose_it_is() {
    let database = TestStore::open().await;
    database.workers(2).await;
    let job = submit_as(&database, "ann", &experiment(1)).await[0];
    let (scheduler, mut term) = (database.scheduler(), None);
    database.schedule(&scheduler, &mut term).await;
    database.execute(
        "UPDATE attempts SET assigned_at = now() - interval '150 min', training_at = now(), state = 'training';
                      UPDATE leases SET dispatched_at = now()",
    );
    pause(&database.store, &job.to_string(), &person("ann")).await.unwrap();
    stopped(&database, job).await;
    let hours: Vec<f64> = database.values("SELECT seconds FROM device_use WHERE owner = 'ann' ORDER BY hour");
    assert!((3..=4).contains(&hours.len()), "{hours:?}");
    let sum: f64 = hours.iter().sum();
    assert!((sum - 2.0 * 150.0 * 60.0).abs() < 30.0, "two devices for 150 minutes: {hours:?}");
    assert!(hours.iter().all(|hour| *hour <= 7200.001), "{hours:?}");
}

#[tokio::test]
async fn a_submit_keeps_to_the_limits_of_its_person() {
    let database = TestStore::open().await;
    database.workers(4).await;
    let toml = "[priorities]\nsubmitter = [-5, 5]\n[limits]\nqueued_jobs = 5\nrunning_devices = 1\nmax_time = \"2h\"";
    policy::set(&database.store, &person("root"), toml, SET).await.unwrap();
    let refused = async |submission: Submission| said(submit(&database.store, &submission).await);
    assert!(refused(submission(&jobs("a", 6, 0))).await.contains("0 waiting jobs, and this brings 6 more, of 5"));
    assert!(refused(submission(&experiment(1))).await.contains("asks for 2 workers, and the policy lets you run on 1"));
    let urgent = Submission { priority: Some(6), ..submission(&jobs("a", 1, 0)) };
    assert!(refused(urgent).await.contains("the policy lets a submitter give -5 to 5"));
    let long = Submission { max_time: Some(3 * HOUR), ..submission(&jobs("a", 1, 0)) };
    assert!(refused(long).await.contains("3h is more than the 2h"));
    assert_eq!(database.value::<i64>("SELECT count(*) FROM experiments"), 0, "nothing was changed");
    submit_as(&database, "ada", &jobs("a", 5, 0)).await;
    let (mut conn, ids) = (database.store.conn().await.unwrap(), database.values("SELECT id FROM jobs"));
    let times = crate::store::times::now(&mut conn, &ids).await.unwrap();
    assert!(times.values().all(|time| time.longest == Some(2 * HOUR) && time.asked.is_none()));
}

#[tokio::test]
async fn a_held_device_gets_nothing_until_it_is_given_back_and_its_limits_hold() {
    let database = TestStore::open().await;
    let workers = database.workers(2).await;
    let (store, ann, bob) = (&database.store, person("ann"), person("bob"));
    policy::set(store, &person("root"), "[limits]\nhold = \"2h\"\nheld_devices = 1", SET).await.unwrap();
    let held = hold(store, &ann, "cpu-0", HOUR, "a notebook", false).await.unwrap();
    assert!((held.running.as_str(), held.stopping) == ("", false) && held.worker.held_by == "ann");
    assert!(said(hold(store, &ann, "cpu-1", HOUR, "", false).await).contains("ann holds 1 device already, of 1"));
    assert!(said(hold(store, &bob, "cpu-1", 3 * HOUR, "", false).await).contains("3h is longer than the 2h"));
    assert!(said(hold(store, &bob, "cpu-0", HOUR, "", false).await).contains("cpu-0 is held by ann"));
    assert!(said(hold(store, &bob, "cpu-7", HOUR, "", false).await).contains("there are: cpu-0, cpu-1"));
    assert!(matches!(unhold(store, &bob, "cpu-0").await, Err(Error::Forbidden(_))));
    // Who goes on holding it need not say again what for; a new hold has no reason of before.
    let reason = "SELECT hold_reason FROM workers WHERE name = 'cpu-0'";
    hold(store, &ann, "cpu-0", HOUR, "", false).await.unwrap();
    assert_eq!(database.text(reason), "a notebook");

    let both = submit_as(&database, "bob", &experiment(1)).await[0];
    let single = submit_as(&database, "bob", &single(2)).await[0];
    let (scheduler, mut term) = (database.scheduler(), None);
    database.schedule(&scheduler, &mut term).await;
    assert!(database.job(both).await.1.contains("1 held"), "{:?}", database.job(both).await);
    assert_eq!(database.lease_holders(single)[0].worker, workers[1]);
    assert!(unhold(store, &ann, "cpu-0").await.unwrap().1);
    assert!(!unhold(store, &ann, "cpu-0").await.unwrap().1, "it is held no more");
    // A hold ends by itself.
    hold(store, &ann, "cpu-0", HOUR, "", false).await.unwrap();
    database.execute("UPDATE workers SET held_until = now() - interval '1 s' WHERE held_by = 'ann'");
    hold(store, &bob, "cpu-0", HOUR, "", false).await.unwrap();
    assert_eq!(database.text(reason), "");
}

#[tokio::test]
async fn now_stops_what_runs_at_a_checkpoint_and_drain_keeps_a_worker_empty() {
    let database = TestStore::open().await;
    database.workers(1).await;
    let (store, root) = (&database.store, person("root"));
    let job = submit_as(&database, "bob", &single(1)).await[0];
    let (scheduler, mut term) = (database.scheduler(), None);
    database.schedule(&scheduler, &mut term).await;
    set_training(&database, job);
    let drained = drain(store, &root, "cpu-0", "new fan", false).await.unwrap();
    assert!((drained.running.as_str(), drained.stopping) == ("single/encoder", false));
    let drained = drain(store, &root, "cpu-0", "", true).await.unwrap();
    assert!(drained.stopping);
    stopped(&database, job).await;
    database.schedule(&scheduler, &mut term).await;
    let (state, reason) = database.job(job).await;
    assert!(state == "queued" && reason.contains("1 drained"), "{state}: {reason}");
    // A worker that comes back is still drained.
    database.execute("UPDATE workers SET session_id = NULL");
    let again = registration(drained.worker.id, 0);
    workers::register(&mut store.conn().await.unwrap(), &again, Uuid::new_v4()).await.unwrap();
    database.schedule(&scheduler, &mut term).await;
    assert_eq!(database.state(job).await, "queued");
    assert!(undrain(store, &root, "cpu-0").await.unwrap().1);
    database.schedule(&scheduler, &mut term).await;
    assert_eq!(database.state(job).await, "running");
    // It does not train yet: it is taken off at once.
    hold(store, &root, "cpu-0", HOUR, "", true).await.unwrap();
    assert_eq!(database.state(job).await, "queued");
}

#[tokio::test]
async fn a_pause_takes_a_job_out_of_the_line_or_stops_it_and_a_resume_goes_on() {
    let database = TestStore::open().await;
    database.workers(1).await;
    let (store, ann) = (&database.store, person("ann"));
    let jobs = submit_as(&database, "ann", &jobs("a", 2, 0)).await;
    let (scheduler, mut term) = (database.scheduler(), None);
    database.schedule(&scheduler, &mut term).await;
    set_training(&database, jobs[0]);
    let changed = pause(store, "a", &ann).await.unwrap();
    assert!(changed.notes.is_empty() && changed.jobs.len() == 2);
    assert_eq!((database.state(jobs[0]).await.as_str(), database.state(jobs[1]).await.as_str()), ("running", "paused"));
    stopped(&database, jobs[0]).await;
    database.schedule(&scheduler, &mut term).await;
    let (state, reason) = database.job(jobs[0]).await;
    assert!(state == "paused" && reason.contains("paused by ann"), "{state}: {reason}");
    assert!(said(pause(store, "a", &person("bob")).await).contains("an admin may pause it"));
    resume(store, "a", &ann).await.unwrap();
    database.schedule(&scheduler, &mut term).await;
    assert_eq!((database.state(jobs[0]).await.as_str(), database.state(jobs[1]).await.as_str()), ("running", "queued"));
    crate::cancel::cancel(store, "a", &ann).await.unwrap();
    assert!(said(resume(store, "a", &ann).await).contains("nothing to resume"));
}

#[tokio::test]
async fn a_shared_job_pauses_when_all_who_want_it_do() {
    let database = TestStore::open().await;
    let (store, ann, bob) = (&database.store, person("ann"), person("bob"));
    let job = submit_as(&database, "ann", &single(1)).await[0];
    assert_eq!(submit_as(&database, "bob", &single(1)).await, [job]);
    let changed = pause(store, "single", &ann).await.unwrap();
    assert!(changed.notes[0].contains("goes on until all who want it have paused it"), "{:?}", changed.notes);
    assert_eq!(database.state(job).await, "queued");
    pause(store, "single", &bob).await.unwrap();
    assert_eq!(database.job(job).await.1, "paused by ann, bob; `tandem resume` goes on with it");
    // Somebody else wants it now.
    assert_eq!(submit_as(&database, "cem", &single(1)).await, [job]);
    assert_eq!(database.state(job).await, "queued");
    crate::cancel::cancel(store, "single", &person("cem")).await.unwrap();
    assert_eq!(database.state(job).await, "paused", "those who still want it have paused it");
    crate::cancel::cancel(store, "single", &bob).await.unwrap();
    crate::cancel::cancel(store, "single", &ann).await.unwrap();
    assert_eq!(database.state(job).await, "cancelled");
}

#[tokio::test]
async fn what_waits_for_others_is_paused_when_its_turn_comes() {
    let database = TestStore::open().await;
    database.workers(2).await;
    let ids = submit_as(&database, "ann", &experiment(1)).await;
    let (scheduler, mut term) = (database.scheduler(), None);
    database.schedule(&scheduler, &mut term).await;
    pause(&database.store, &ids[1].to_string(), &person("ann")).await.unwrap();
    assert_eq!(database.state(ids[1]).await, "blocked");
    database.execute(&format!(
        "UPDATE jobs SET state = 'succeeded', finished_at = now() WHERE id = '{}';
         UPDATE attempts SET state = 'succeeded', ended_at = now();
         UPDATE leases SET outcome = 'succeeded', released_at = now();
         INSERT INTO inputs_ended (job_id) SELECT id FROM jobs WHERE state = 'blocked'",
        ids[0]
    ));
    database.schedule(&scheduler, &mut term).await;
    assert_eq!((database.state(ids[1]).await.as_str(), database.state(ids[2]).await.as_str()), ("paused", "running"));
}

#[tokio::test]
async fn what_was_cancelled_goes_on_from_its_checkpoint_when_it_is_asked_for_again() {
    let database = TestStore::open().await;
    database.workers(2).await;
    let (store, ann) = (&database.store, person("ann"));
    let first = submit_as(&database, "ann", &experiment(1)).await;
    let (scheduler, mut term) = (database.scheduler(), None);
    database.schedule(&scheduler, &mut term).await;
    set_training(&database, first[0]);
    database.execute(&format!(
        "INSERT INTO checkpoints SELECT job_id, 7, 'p', 's', 1, fence, now(), now() FROM attempts WHERE job_id = '{}'",
        first[0]
    ));
    crate::cancel::cancel(store, "quickstart", &ann).await.unwrap();
    database.execute("UPDATE leases SET outcome = 'cancelled', released_at = now() WHERE released_at IS NULL");
    // By requeue: the same jobs, what starts from them included.
    let changed = requeue(store, &first[0].to_string(), None, &ann).await.unwrap();
    assert_eq!(changed.jobs.len(), 3);
    assert_eq!(database.state(first[0]).await, "queued");
    assert_eq!(database.state(first[2]).await, "blocked");
    let kinds: Vec<String> = database
        .values(&format!("SELECT message FROM events WHERE job_id = '{}' AND kind = 'asked for again'", first[0]));
    assert_eq!(kinds, ["by ann; goes on from its checkpoint at step 7"]);
    assert!(
        said(requeue(store, &first[0].to_string(), None, &ann).await).contains("to ask for again: none of its jobs")
    );

    // By another submit: the job that has a checkpoint is taken up, the others are new and start from it.
    crate::cancel::cancel(store, "quickstart", &ann).await.unwrap();
    let second = submit_as(&database, "bob", &experiment(1)).await;
    assert_eq!(second[0], first[0]);
    assert_ne!(second[1], first[1]);
    let owner: String = database.value(&format!("SELECT owner FROM jobs WHERE id = '{}'", first[0]));
    assert_eq!(owner, "bob");
    let inputs: Vec<Uuid> =
        database.values(&format!("SELECT depends_on FROM job_dependencies WHERE job_id = '{}'", second[1]));
    assert_eq!(inputs, [first[0]]);
    // And not where everything is to be new.
    crate::cancel::cancel(store, "quickstart", &person("bob")).await.unwrap();
    let fresh = Submission { fresh: true, ..submission(&experiment(1)) };
    assert_ne!(ids(&submit(store, &fresh).await.unwrap())[0], first[0]);
    // Somebody else's new job of that content is there by now.
    submit_as(&database, "cem", &experiment(1)).await;
    assert!(said(requeue(store, &first[1].to_string(), None, &ann).await).contains("another job of the same content"));
}

#[tokio::test]
async fn a_priority_is_changed_within_the_policy_and_the_highest_of_several_counts() {
    let database = TestStore::open().await;
    let (store, ann, bob) = (&database.store, person("ann"), person("bob"));
    policy::set(store, &person("root"), "[priorities]\nsubmitter = [-5, 5]", SET).await.unwrap();
    let job = submit_as(&database, "ann", &single(1)).await[0];
    submit_as(&database, "bob", &single(1)).await;
    let priority = || database.value::<i32>(&format!("SELECT priority FROM jobs WHERE id = '{job}'"));
    assert!(said(set_priority(store, "single", 6, &ann).await).contains("a submitter give -5 to 5"));
    set_priority(store, "single", 5, &ann).await.unwrap();
    assert_eq!(priority(), 5);
    let changed = set_priority(store, "single", 2, &bob).await.unwrap();
    assert!(changed.notes[0].contains("keeps priority 5"), "{:?}", changed.notes);
    set_priority(store, "single", -1, &ann).await.unwrap();
    assert_eq!(priority(), 2);
    crate::cancel::cancel(store, "single", &bob).await.unwrap();
    assert_eq!(priority(), -1, "who still wants it says so");
}

#[tokio::test]
async fn why_says_the_place_who_is_before_and_when_it_starts() {
    let database = TestStore::open().await;
    database.workers(2).await;
    hold(&database.store, &person("eve"), "cpu-1", HOUR, "", false).await.unwrap();
    let running = submit_as(&database, "ann", &single(9)).await[0];
    let (scheduler, mut term) = (database.scheduler(), None);
    database.schedule(&scheduler, &mut term).await;
    set_training(&database, running);
    database.execute(&format!(
        "INSERT INTO progress (job_id, fence, phase, step, steps, epoch, epochs, images_per_second, seconds_left)
         SELECT job_id, fence, 'training', 1, 2, 1, 2, 1, 600 FROM attempts WHERE job_id = '{running}'"
    ));
    let ann = submit_as(&database, "ann", &jobs("a", 2, 0)).await;
    submit_as(&database, "bob", &jobs("b", 1, 100)).await;
    // It needs two devices, and one of them is held: it waits for the end of that.
    let bob = submit_as(&database, "bob", &experiment(1)).await;
    database.schedule(&scheduler, &mut term).await;
    let outlooks = Outlooks::new(database.store.clone(), Policy::default());
    let (whys, line) = why(&database.store, &outlooks, &ann[1].to_string(), "ann").await.unwrap();
    assert_eq!((whys[0].place, line.jobs.len(), whys[0].before.len()), (4, 4, 3));
    let bobs = &whys[0].before[0];
    assert!(bobs.owner == "bob" && bobs.why.contains("its turn is before: bob has 0.0"), "{bobs:?}");
    let anns = whys[0].before.iter().find(|before| before.owner == "ann").unwrap();
    assert_eq!(anns.why, "came first");
    let start = whys[0].start.unwrap();
    assert!(start.at >= line.at + chrono::TimeDelta::minutes(9) && start.early <= start.at && start.at <= start.late);
    let (whys, _) = why(&database.store, &outlooks, "quickstart", "bob").await.unwrap();
    assert_eq!(whys.len(), 3);
    let linear = whys.iter().find(|why| why.job.id == bob[1]).unwrap();
    assert_eq!(linear.reason, "starts from `encoder`, which is queued");
    let (whys, _) = why(&database.store, &outlooks, &running.to_string(), "ann").await.unwrap();
    assert_eq!(whys[0].reason, "runs; about 10 min left");
}

#[tokio::test]
async fn nobody_sends_back_what_runs_for_somebody_else_too() {
    let database = TestStore::open().await;
    database.workers(1).await;
    let (store, bob) = (&database.store, person("bob"));
    let job = submit_as(&database, "ann", &single(1)).await[0];
    submit_as(&database, "bob", &single(1)).await;
    let (scheduler, mut term) = (database.scheduler(), None);
    database.schedule(&scheduler, &mut term).await;
    set_training(&database, job);
    assert!(said(requeue(store, "single", None, &bob).await).contains("somebody else wants it, too"));
    assert_eq!(database.count("attempts WHERE stop_asked_at IS NOT NULL"), 0);
    crate::cancel::cancel(store, "single", &person("ann")).await.unwrap();
    let owner: String = database.value(&format!("SELECT owner FROM jobs WHERE id = '{job}'"));
    assert_eq!(owner, "bob", "who still wants it pays for it");
    requeue(store, "single", None, &bob).await.unwrap();
    assert_eq!(database.count("attempts WHERE stop_asked_at IS NOT NULL"), 1);
}

#[tokio::test]
async fn a_house_without_a_policy_lets_nobody_hold_every_device_for_years() {
    let database = TestStore::open().await;
    database.workers(2).await;
    let (store, bob) = (&database.store, person("bob"));
    assert!(said(hold(store, &bob, "cpu-0", 3650 * 24 * HOUR, "", false).await).contains("longer than the 12h"));
    hold(store, &bob, "cpu-0", HOUR, "", false).await.unwrap();
    assert!(said(hold(store, &bob, "cpu-1", HOUR, "", false).await).contains("of 1 that the policy allows"));
    let root = person("root");
    hold(store, &root, "cpu-1", 48 * HOUR, "", false).await.unwrap();
}

#[tokio::test]
async fn what_fits_into_no_device_is_refused_with_what_would_make_it_smaller() {
    let database = TestStore::open().await;
    database.workers(1).await;
    let large = single(1).replace("batch_size = 64", "batch_size = 8192").replace("resnet-tiny", "resnet18");
    let refused = said(submit(&database.store, &submission(&large)).await);
    assert!(refused.contains("of memory, and the largest cpu device of the fleet has 1.0 GiB"), "{refused}");
    assert!(refused.contains("`recompute = \"shards\"`"), "{refused}");
    assert_eq!(database.count("experiments"), 0);
    // Where nobody knows how much there is, nothing is refused for it.
    database.execute("UPDATE workers SET memory_bytes = 0");
    submit(&database.store, &submission(&large)).await.unwrap();
}

#[tokio::test]
async fn what_estimates_were_wrong_by_is_known_of_attempts_that_went_from_beginning_to_end() {
    let database = TestStore::open().await;
    database.workers(1).await;
    let job = submit_as(&database, "ann", &single(1)).await[0];
    let (scheduler, mut term) = (database.scheduler(), None);
    database.schedule(&scheduler, &mut term).await;
    let wrong_by = async || crate::store::measures::wrong_by(&mut database.store.conn().await.unwrap()).await.unwrap();
    assert_eq!(wrong_by().await, (0.0, 0));
    database.execute(&format!(
        "UPDATE attempts SET state = 'succeeded', assigned_at = now() - interval '100 s', ended_at = now(), estimated_seconds = 200
         WHERE job_id = '{job}'"
    ));
    let (spread, count) = wrong_by().await;
    assert!(count == 1 && (spread - 2f64.ln()).abs() < 1e-6, "{spread} of {count}");
}

#[tokio::test]
async fn an_outlook_assumes_of_new_work_what_a_dry_run_says() {
    let database = TestStore::open().await;
    database.workers(1).await;
    let long = |seed| single(seed).replace("epochs = 2", "epochs = 2000");
    let dry = submit(&database.store, &Submission { dry_run: true, ..submission(&long(1)) }).await.unwrap();
    let seconds = dry.jobs[0].time.seconds;
    assert!(seconds > 1200.0, "{seconds}");
    submit_as(&database, "ann", &long(1)).await;
    let next = submit_as(&database, "ann", &long(2)).await[0];
    let outlooks = Outlooks::new(database.store.clone(), Policy::default());
    let (whys, line) = why(&database.store, &outlooks, &next.to_string(), "ann").await.unwrap();
    let wait = (whys[0].start.unwrap().at - line.at).as_seconds_f64();
    assert!(wait > 0.5 * seconds && wait < 2.0 * seconds, "{wait} s after one of {seconds} s");
}

#[tokio::test]
async fn the_audit_says_what_was_stopped_for_a_hold_or_a_drain() {
    let database = TestStore::open().await;
    database.workers(2).await;
    let (store, root) = (&database.store, person("root"));
    hold(store, &root, "cpu-0", HOUR, "", false).await.unwrap();
    hold(store, &root, "cpu-1", HOUR, "", true).await.unwrap();
    drain(store, &root, "cpu-1", "", true).await.unwrap();
    let objects: Vec<String> = database.values("SELECT object FROM audit ORDER BY at");
    assert_eq!(objects, ["cpu-0 for 1h", "cpu-1 for 1h --now", "cpu-1 --now"]);
}

#[tokio::test]
async fn what_was_used_counts_half_after_a_half_life_and_a_week_of_hours_is_a_limit() {
    let database = TestStore::open().await;
    database.workers(2).await;
    database.execute(
        "INSERT INTO device_use VALUES
             ('ann', date_trunc('hour', now()) - interval '7 days', 'cpu', 8000), ('bob', date_trunc('hour', now()), 'cpu', 8000),
             ('cem', date_trunc('hour', now()) - interval '100 days', 'cpu', 8000)",
    );
    let half_life = 7.0 * 86_400.0;
    let used = crate::store::used::used(&mut database.store.conn().await.unwrap(), half_life).await.unwrap();
    let near = |value: f64, expected: f64| (value - expected).abs() < 0.01 * expected;
    assert!(near(used["ann"].decayed, 4000.0) && near(used["bob"].decayed, 8000.0), "{used:?}");
    assert!((used["ann"].this_week, used["bob"].this_week) == (0.0, 8000.0) && !used.contains_key("cem"), "{used:?}");

    let toml = "[limits]\ndevice_hours_a_week = 2.0";
    policy::set(&database.store, &person("root"), toml, SET).await.unwrap();
    submit_as(&database, "ann", &jobs("a", 1, 0)).await;
    let bobs = submit_as(&database, "bob", &jobs("b", 1, 100)).await[0];
    let (scheduler, mut term) = (database.scheduler(), None);
    database.schedule(&scheduler, &mut term).await;
    assert_eq!(running_by_owner(&database), "ann 1");
    let reason = database.job(bobs).await.1;
    assert!(reason.contains("bob has used 2.22 device-hours in the last seven days, of 2.00"), "{reason}");
}
