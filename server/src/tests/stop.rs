//! Stops at a checkpoint: for a job of higher priority, and to grow.

use tandem_domain::state::RankOutcome;

use super::*;
use crate::report::rank_ended;

/// An encoder on `workers`, of this priority, under a name of its own.
fn job(name: &str, workers: &str, priority: i32) -> String {
    format!(
        "name = \"{name}\"\ndataset = \"shapes\"\nseed = 1\npriority = {priority}\nshards = 2\n[jobs.{name}]\n\
         stage = \"contrastive\"\nencoder = \"resnet-tiny\"\nepochs = 2\nbatch_size = 64\nworkers = {workers}\n"
    )
}

/// It trains, for a minute now, and kept a checkpoint ten seconds ago.
fn trains(database: &Database, id: Uuid) {
    database.psql(&format!(
        "UPDATE attempts SET state = 'training', training_at = now() - interval '1 min'
         WHERE job_id = '{id}' AND state = 'assigned';
         UPDATE leases SET dispatched_at = now(), last_sequence = 1;
         INSERT INTO checkpoints SELECT job_id, 5, 'p', 's', 1, fence, now() - interval '10 s' FROM attempts
         WHERE job_id = '{id}' AND state = 'training'"
    ));
}

fn events(database: &Database, id: Uuid, kind: &str) -> String {
    database.psql(&format!("SELECT message FROM events WHERE job_id = '{id}' AND kind = '{kind}' ORDER BY id"))
}

async fn submit_one(database: &Database, toml: &str) -> Uuid {
    let submitted = submit(&database.store, &Submission { fresh: true, ..submission(toml) }).await.unwrap();
    ids(&submitted)[0]
}

#[tokio::test]
async fn a_job_of_higher_priority_gets_room_and_the_bill_is_written_down() {
    let database = Database::new().await;
    database.workers(2).await;
    let low = submit_one(&database, &job("low", "2", 0)).await;
    let (scheduler, mut term) = (database.scheduler(), None);
    database.schedule(&scheduler, &mut term).await;
    let high = submit_one(&database, &job("high", "1", 7)).await;
    let later = submit_one(&database, &job("later", "1", 0)).await;
    database.schedule(&scheduler, &mut term).await;
    assert_eq!(events(&database, low, "asked to stop"), "", "it does not train yet: nothing would be saved");

    trains(&database, low);
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

    database.psql("INSERT INTO checkpoints SELECT job_id, 6, 'p', 's', 1, fence, now() FROM attempts LIMIT 1");
    for who in database.speakers(low) {
        rank_ended(&database.store, who, RankOutcome::Preempted, "stopped").await.unwrap();
    }
    assert_eq!(database.state(low).await, "queued");
    let bill = events(&database, low, "cost of the stop");
    assert!(bill.contains("2 devices") && bill.contains("; 0.0 of the 20."), "{bill}");
    // What was freed is held for it: `low` is first of its priority, `later` is behind that.
    database.schedule(&scheduler, &mut term).await;
    assert_eq!(database.state(high).await, "running");
    assert_eq!((database.state(low).await.as_str(), database.state(later).await.as_str()), ("queued", "queued"));
    assert_eq!(database.psql("SELECT count(*) FROM attempts WHERE state = 'lost'"), "0");
}

#[tokio::test]
async fn what_frees_too_little_is_not_stopped() {
    let database = Database::new().await;
    database.workers(2).await;
    let low = submit_one(&database, &job("low", "1", 0)).await;
    let peer = submit_one(&database, &job("peer", "1", 7)).await;
    let (scheduler, mut term) = (database.scheduler(), None);
    database.schedule(&scheduler, &mut term).await;
    trains(&database, low);
    trains(&database, peer);
    submit_one(&database, &job("high", "2", 7)).await;
    database.schedule(&scheduler, &mut term).await;
    assert_eq!(database.psql("SELECT count(*) FROM attempts WHERE stop_asked_at IS NOT NULL"), "0");
}

#[tokio::test]
async fn a_gang_goes_on_with_fewer_and_grows_again() {
    let database = Database::new().await;
    let workers = database.workers(2).await;
    database.psql("UPDATE workers SET state = 'lost' WHERE name = 'cpu-1'");
    let elastic = submit_one(&database, &job("elastic", "\"1..2\"", 0)).await;
    let (scheduler, mut term) = (database.scheduler(), None);
    database.schedule(&scheduler, &mut term).await;
    assert_eq!(database.psql("SELECT world_size FROM attempts"), "1");
    trains(&database, elastic);
    database.schedule(&scheduler, &mut term).await;
    assert_eq!(events(&database, elastic, "asked to stop"), "", "there is nobody to grow with");

    database.psql("UPDATE workers SET state = 'ready', last_seen = now() WHERE name = 'cpu-1'");
    database.schedule(&scheduler, &mut term).await;
    assert!(events(&database, elastic, "asked to stop").starts_with("grows from 1 to 2 workers"));
    for who in database.speakers(elastic) {
        assert_eq!(who.worker, workers[0]);
        rank_ended(&database.store, who, RankOutcome::Preempted, "stopped").await.unwrap();
    }
    database.schedule(&scheduler, &mut term).await;
    assert_eq!(database.psql("SELECT world_size FROM attempts WHERE number = 2"), "2");
}
