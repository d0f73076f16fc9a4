//! Telling people: what is told, to whom, once; and receivers that are away, slow, hostile or inside.

mod receiver;
mod receivers;
mod targets;
mod what;

use chrono::{DateTime, TimeDelta, Utc};
use tandem_domain::{
    state::{JobEvent, JobState},
    telling::{address::Allowed, retry},
};

use super::*;
use crate::{
    store::{jobs, leader, tells},
    telling::{
        courier::Courier,
        gather,
        options::TellingArgs,
        targets::{Wish, set},
        task::Teller,
    },
};

/// A coordinator's options where webhooks may go to this machine, where the receivers of these tests are.
fn options() -> TellingArgs {
    TellingArgs { allow_webhooks_to: vec![Allowed::parse("127.0.0.1").unwrap()], ..TellingArgs::default() }
}

/// A teller that leads, with its term.
async fn leading(database: &TestStore, courier: Courier) -> (Teller, i64) {
    let holder = Uuid::new_v4();
    database.execute("UPDATE leader SET expires_at = now() - interval '1 s'");
    let term = leader::hold(&mut database.store.conn().await.unwrap(), holder, "test").await.unwrap().unwrap();
    database.execute("UPDATE leader SET expires_at = now() + interval '1 day'");
    (Teller { store: database.store.clone(), courier: Arc::new(courier), holder }, term)
}

async fn wants(database: &TestStore, who: &Person, url: &str, on: &str) -> String {
    let wish = Wish { kind: "webhook".to_owned(), address: url.to_owned(), on: on.to_owned(), all: who.is_admin() };
    let courier = Courier::new(&options(), 7077).unwrap();
    set(&database.store, &courier, who, &wish).await.unwrap().0.id
}

/// Ends a queued job.
async fn end(database: &TestStore, job: Uuid, event: JobEvent, reason: &str) {
    let mut tx = database.store.begin().await.unwrap();
    let zero = std::time::Duration::ZERO;
    let from = if event == JobEvent::Cancelled {
        JobState::Queued
    } else {
        jobs::transition(&mut tx, job, JobState::Queued, JobEvent::Placed, "", zero).await.unwrap();
        JobState::Running
    };
    jobs::transition(&mut tx, job, from, event, reason, zero).await.unwrap().unwrap();
    tx.commit().await.unwrap();
}

/// All that is in the outbox: event, target, text.
fn outbox(database: &TestStore) -> Vec<(String, String, String)> {
    database.rows("SELECT COALESCE(message ->> 'event', ''), target_id, COALESCE(message ->> 'text', '') FROM tells ORDER BY made_at, id")
}

/// One try of what is due at `now`: by the teller's courier, on a clock of the test's. Returns how many were tried.
async fn tries(teller: &Teller, term: i64, now: DateTime<Utc>) -> usize {
    let due = teller.claim(term, now, 16).await.unwrap();
    for claimed in &due {
        let tried = teller.courier.carry(claimed).await;
        let next = retry::after(claimed.tries.unsigned_abs(), now, tried);
        let mut conn = teller.store.conn().await.unwrap();
        assert!(tells::settle(&mut conn, claimed, now, &next).await.unwrap());
    }
    due.len()
}

async fn clock(database: &TestStore) -> DateTime<Utc> {
    jobs::now(&mut database.store.conn().await.unwrap()).await.unwrap()
}

fn minutes(minutes: i64) -> TimeDelta {
    TimeDelta::minutes(minutes)
}
