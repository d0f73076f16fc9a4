//! What is kept and what goes: deleting, removing from the store, cleaning by age, labels, and what one may store.

mod cleaning;
mod deleting;
mod labelling;
mod quota;
mod races;
mod removing;

use super::{
    sharing::{SET, submit_as},
    *,
};
use crate::{
    error::Error,
    keeping::delete::{Deleted, How, delete},
    sharing::policy,
    store::files::{self, Artifact, Checkpoint},
};

const NOW: How = How { dry_run: false, cancel: false, for_all: false };
const DRY: How = How { dry_run: true, ..NOW };
const CANCEL: How = How { cancel: true, ..NOW };

async fn deletes(database: &TestStore, who: &str, target: &str, how: How) -> Result<Deleted, Error> {
    delete(&database.store, target, how, &person(who)).await
}

async fn set_policy(database: &TestStore, toml: &str) {
    policy::set(&database.store, &person("root"), toml, SET).await.unwrap();
}

/// All jobs have succeeded, `days` ago, each with an artifact of 100 bytes and two checkpoints of 10.
async fn succeed(database: &TestStore, jobs: &[Uuid], days: i32) {
    let conn = &mut *database.store.conn().await.unwrap();
    for job in jobs {
        database.execute(&format!(
            "UPDATE jobs SET state = 'succeeded', queued_at = now() - interval '{days} days', started_at = queued_at,
                 finished_at = now() - interval '{days} days' WHERE id = '{job}'"
        ));
        put_files(conn, *job, 1).await;
    }
}

async fn put_files(conn: &mut crate::store::Conn, job: Uuid, fence: i64) {
    let artifact = Artifact {
        id: Uuid::new_v4(),
        job_id: job,
        kind: "encoder".to_owned(),
        name: "e".to_owned(),
        uri: format!("jobs/{job}/e"),
        sha256: String::new(),
        bytes: 100,
        at: chrono::Utc::now(),
    };
    files::put_artifact(conn, fence, 0, &artifact).await.unwrap();
    for step in [8, 16] {
        put_checkpoint(conn, job, fence, step).await;
    }
}

async fn put_checkpoint(conn: &mut crate::store::Conn, job: Uuid, fence: i64, step: i64) {
    let path = format!("jobs/{job}/step-{step}");
    let (sha256, state_sha256) = ("s".to_owned(), String::new());
    let checkpoint = Checkpoint { step, path, sha256, state_sha256, bytes: 10, at: chrono::Utc::now() };
    files::put_checkpoint(conn, job, fence, &checkpoint).await.unwrap();
}

fn refusal(outcome: Result<Deleted, Error>) -> String {
    match outcome {
        Err(Error::Refused(why)) => why,
        other => panic!("{other:?}"),
    }
}
