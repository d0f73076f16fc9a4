use std::collections::HashSet;

use futures::future::join_all;
use tandem_domain::place::Placement;

use super::*;
use crate::{schedule::claim, store::leader};

async fn lead(database: &TestStore) -> i64 {
    let mut conn = database.store.conn().await.unwrap();
    leader::hold(&mut conn, Uuid::new_v4(), "test").await.unwrap().unwrap()
}

#[tokio::test]
async fn a_job_and_a_worker_are_claimed_once_however_many_try() {
    let database = TestStore::open().await;
    let term = lead(&database).await;
    let workers = database.workers(2).await;
    let mut jobs = Vec::new();
    for seed in 0..4 {
        jobs.extend(ids(&database.submit(&single(seed)).await));
    }
    // Every job on every worker, all at once, and gangs of both in either order.
    let mut placements: Vec<_> = jobs
        .iter()
        .flat_map(|&job| workers.iter().map(move |&worker| Placement { job, workers: vec![worker], passed: None }))
        .collect();
    let backwards = vec![workers[1], workers[0]];
    placements.extend(jobs.iter().map(|&job| Placement { job, workers: workers.clone(), passed: None }));
    placements.extend(jobs.iter().map(|&job| Placement { job, workers: backwards.clone(), passed: None }));
    let claims =
        placements.iter().map(|placement| crate::store::retry(|| claim(&database.store, term, placement, None)));
    let claimed = join_all(claims).await.into_iter().filter(|outcome| *outcome.as_ref().unwrap()).count();

    assert!((1..=2).contains(&claimed));
    let held: Vec<Uuid> = database.values("SELECT worker_id FROM leases WHERE released_at IS NULL");
    assert_eq!(held.iter().collect::<HashSet<_>>().len(), held.len(), "a worker holds two leases");
    assert_eq!(held.len(), 2, "a worker stays idle although jobs wait");
    let claimed = i64::try_from(claimed).unwrap();
    assert_eq!(database.count("jobs WHERE state = 'running'"), claimed);
    assert_eq!(
        database.rows::<(i64, i64)>("SELECT count(*), count(DISTINCT fence) FROM attempts"),
        [(claimed, claimed)]
    );
}

#[tokio::test]
async fn a_leader_of_yesterday_claims_nothing() {
    let database = TestStore::open().await;
    let term = lead(&database).await;
    let workers = database.workers(1).await;
    let job = ids(&database.submit(&single(1)).await)[0];
    database.execute("UPDATE leader SET expires_at = now() - interval '1 s'");
    let placement = Placement { job, workers, passed: None };
    assert!(!claim(&database.store, term, &placement, None).await.unwrap());
    assert_eq!(lead(&database).await, term + 1);
    assert!(!claim(&database.store, term, &placement, None).await.unwrap());
    assert!(claim(&database.store, term + 1, &placement, None).await.unwrap());
}

#[tokio::test]
async fn one_leads_and_the_next_takes_over() {
    let database = TestStore::open().await;
    let (first, second) = (database.scheduler(), database.scheduler());
    let (mut first_term, mut second_term) = (None, None);
    first.pass(&mut first_term, true).await.unwrap();
    second.pass(&mut second_term, true).await.unwrap();
    assert!(first_term.is_some() && second_term.is_none());
    leader::resign(&mut database.store.conn().await.unwrap(), first.id).await.unwrap();
    second.pass(&mut second_term, true).await.unwrap();
    assert!(second_term.is_some());
}

#[tokio::test]
async fn the_queue_is_placed_in_order_with_reasons() {
    let database = TestStore::open().await;
    database.workers(2).await;
    let first = ids(&database.submit(&experiment(1)).await);
    let second = ids(&database.submit(&single(2)).await)[0];
    let (scheduler, mut term) = (database.scheduler(), None);
    database.schedule(&scheduler, &mut term).await;
    assert_eq!(database.state(first[0]).await, "running");
    assert_eq!(database.state(first[1]).await, "blocked");
    let (state, reason) = database.job(second).await;
    assert_eq!(state, "queued");
    assert!(reason.contains("waits for 1 cpu worker"), "{reason}");
    let query = format!("SELECT kind || ': ' || message FROM events WHERE job_id = '{}' ORDER BY id", first[0]);
    let events: Vec<String> = database.values(&query);
    assert!(events[0].starts_with("submitted: submitted by ada in experiment `quickstart`; queued"), "{events:?}");
    assert!(events[1].starts_with("assigned: attempt 1 assigned to cpu-0, cpu-1 (fence "), "{events:?}");
}
