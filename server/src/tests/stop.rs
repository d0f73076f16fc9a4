//! Jobs that are stopped at a checkpoint, for a job of higher priority or to grow.

use tandem_domain::state::RankOutcome;

use super::*;
use crate::report::rank_ended;

/// An experiment with one encoder of that name.
fn job(name: &str, workers: &str, priority: i32) -> String {
    format!(
        "name = \"{name}\"\ndataset = \"shapes\"\nseed = 1\npriority = {priority}\nshards = 2\n[jobs.{name}]\n\
         stage = \"contrastive\"\nencoder = \"resnet-tiny\"\nepochs = 2\nbatch_size = 64\nworkers = {workers}\n"
    )
}

/// Makes the job one that has trained for a minute and wrote a checkpoint ten seconds ago.
fn set_training(database: &TestStore, id: Uuid) {
    database.execute(&format!(
        "UPDATE attempts SET state = 'training', training_at = now() - interval '1 min'
         WHERE job_id = '{id}' AND state = 'assigned';
         UPDATE leases SET dispatched_at = now(); UPDATE leases SET has_reported = true;
         INSERT INTO checkpoints SELECT job_id, 5, 'p', 's', 1, fence, now(), now() - interval '10 s' FROM attempts
         WHERE job_id = '{id}' AND state = 'training'"
    ));
}

/// Messages of the job's events of a kind, one a line.
fn events(database: &TestStore, id: Uuid, kind: &str) -> String {
    let query = format!("SELECT message FROM events WHERE job_id = '{id}' AND kind = '{kind}' ORDER BY id");
    database.values::<String>(&query).join("\n")
}

async fn submit_one(database: &TestStore, toml: &str) -> Uuid {
    let submitted = submit(&database.store, &Submission { fresh: true, ..submission(toml) }).await.unwrap();
    ids(&submitted)[0]
}

#[tokio::test]
async fn a_job_of_higher_priority_gets_room_and_the_cost_is_recorded() {
    let database = TestStore::open().await;
    database.workers(2).await;
    let low = submit_one(&database, &job("low", "2", 0)).await;
    let (scheduler, mut term) = (database.scheduler(), None);
    database.schedule(&scheduler, &mut term).await;
    let high = submit_one(&database, &job("high", "1", 7)).await;
    let later = submit_one(&database, &job("later", "1", 0)).await;
    database.schedule(&scheduler, &mut term).await;
    assert_eq!(events(&database, low, "asked to stop"), "", "it does not train yet: nothing would be saved");

    set_training(&database, low);
    for _ in 0..3 {
        database.schedule(&scheduler, &mut term).await;
    }
    let asked = events(&database, low, "asked to stop");
    assert!(
        asked.starts_with("makes room for `high/high` (priority 7 over 0)") && asked.lines().count() == 1,
        "{asked}"
    );
    assert!(asked.contains("20.") && asked.contains("device-seconds would be lost"), "10 s of two devices: {asked}");
    assert!(events(&database, high, "makes room").contains("`low/low` stops at a checkpoint for it"));

    database.execute("INSERT INTO checkpoints SELECT job_id, 6, 'p', 's', 1, fence, now() FROM attempts LIMIT 1");
    for holder in database.lease_holders(low) {
        rank_ended(&database.store, holder, RankOutcome::Preempted, "stopped").await.unwrap();
    }
    assert_eq!(database.state(low).await, "queued");
    let bill = events(&database, low, "cost of the stop");
    assert!(bill.contains("2 devices") && bill.contains("; 0.0 of the 20."), "{bill}");
    // The freed workers are kept for `high`: `low` comes after it, and `later` after `low`.
    database.schedule(&scheduler, &mut term).await;
    assert_eq!(database.state(high).await, "running");
    assert_eq!((database.state(low).await.as_str(), database.state(later).await.as_str()), ("queued", "queued"));
    assert_eq!(database.count("attempts WHERE state = 'lost'"), 0);
}

#[tokio::test]
async fn what_frees_too_little_is_not_stopped() {
    let database = TestStore::open().await;
    database.workers(2).await;
    let low = submit_one(&database, &job("low", "1", 0)).await;
    let peer = submit_one(&database, &job("peer", "1", 7)).await;
    let (scheduler, mut term) = (database.scheduler(), None);
    database.schedule(&scheduler, &mut term).await;
    set_training(&database, low);
    set_training(&database, peer);
    submit_one(&database, &job("high", "2", 7)).await;
    database.schedule(&scheduler, &mut term).await;
    assert_eq!(database.count("attempts WHERE stop_asked_at IS NOT NULL"), 0);
}

#[tokio::test]
async fn a_gang_goes_on_with_fewer_and_grows_again() {
    let database = TestStore::open().await;
    let workers = database.workers(2).await;
    database.execute("UPDATE workers SET state = 'lost' WHERE name = 'cpu-1'");
    let elastic = submit_one(&database, &job("elastic", "\"1..2\"", 0)).await;
    let (scheduler, mut term) = (database.scheduler(), None);
    database.schedule(&scheduler, &mut term).await;
    assert_eq!(database.value::<i32>("SELECT world_size FROM attempts"), 1);
    set_training(&database, elastic);
    database.schedule(&scheduler, &mut term).await;
    assert_eq!(events(&database, elastic, "asked to stop"), "", "there is nobody to grow with");

    database.execute("UPDATE workers SET state = 'ready', last_seen = now() WHERE name = 'cpu-1'");
    database.schedule(&scheduler, &mut term).await;
    assert!(events(&database, elastic, "asked to stop").starts_with("grows from 1 to 2 workers"));
    for holder in database.lease_holders(elastic) {
        assert_eq!(holder.worker, workers[0]);
        rank_ended(&database.store, holder, RankOutcome::Preempted, "stopped").await.unwrap();
    }
    database.schedule(&scheduler, &mut term).await;
    assert_eq!(database.value::<i32>("SELECT world_size FROM attempts WHERE number = 2"), 2);
}

#[tokio::test]
async fn a_stop_that_saved_nothing_is_remembered() {
    let database = TestStore::open().await;
    database.workers(2).await;
    database.execute("UPDATE workers SET state = 'lost' WHERE name = 'cpu-1'");
    let elastic = submit_one(&database, &job("elastic", "\"1..2\"", 0)).await;
    let (scheduler, mut term) = (database.scheduler(), None);
    database.schedule(&scheduler, &mut term).await;
    set_training(&database, elastic);
    database.execute("UPDATE workers SET state = 'ready', last_seen = now() WHERE name = 'cpu-1'");
    database.execute("UPDATE attempts SET training_at = now() - interval '31 s'");
    database.schedule(&scheduler, &mut term).await;
    assert_eq!(events(&database, elastic, "asked to stop").lines().count(), 1);
    let holder = database.lease_holders(elastic)[0];
    rank_ended(&database.store, holder, RankOutcome::Lost, "did not stop in time and was killed").await.unwrap();

    // It starts on the other worker alone, and would grow again after half a minute.
    database.schedule(&scheduler, &mut term).await;
    database.execute(
        "UPDATE leases SET dispatched_at = now(), released_at = released_at - interval '2 min';
         UPDATE leases SET has_reported = true;
         UPDATE attempts SET state = 'training', training_at = now() - interval '59 s' WHERE state = 'assigned'",
    );
    database.schedule(&scheduler, &mut term).await;
    assert_eq!(events(&database, elastic, "asked to stop").lines().count(), 1, "not before a minute");
    database.execute("UPDATE attempts SET training_at = now() - interval '61 s'");
    database.schedule(&scheduler, &mut term).await;
    assert_eq!(events(&database, elastic, "asked to stop").lines().count(), 2);
}
