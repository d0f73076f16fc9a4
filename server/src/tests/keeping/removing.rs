use std::{fs, path::Path};

use super::*;
use crate::{keeping::remove::remove_some, store::stored, store_folder::StoreFolder};

fn write(store: &Path, job: Uuid) {
    let folder = store.join(format!("jobs/{job}/step-8"));
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("weights"), [0; 64]).unwrap();
    fs::write(store.join(format!("jobs/{job}/e")), [0; 100]).unwrap();
}

#[tokio::test]
async fn files_and_long_rows_go_after_the_database_has_said_so_and_those_of_others_stay() {
    let database = TestStore::open().await;
    let dir = tempfile::tempdir().unwrap();
    let folder = StoreFolder::open(dir.path()).unwrap();
    let (gone, kept) =
        (submit_as(&database, "ada", &single(1)).await[0], submit_as(&database, "bob", &single(2)).await[0]);
    for job in [gone, kept] {
        succeed(&database, &[job], 0).await;
        write(dir.path(), job);
        database.execute(&format!(
            "INSERT INTO metrics SELECT '{job}', 'loss', step, 1, 1, now() FROM generate_series(1, 25000) step;
             INSERT INTO metric_chunks (job_id, name, first_step, last_step, points, stride, values, fence, first_at, last_at)
             VALUES ('{job}', 'older', 1, 2, 2, 1, '{{3, 4}}', 1, now(), now());
             WITH made AS (INSERT INTO attempts (id, job_id, number, leader_term, world_size, state, ended_at)
                           VALUES (gen_random_uuid(), '{job}', 1, 1, 1, 'succeeded', now()) RETURNING id)
             INSERT INTO logs SELECT id, 0, line, now(), 'x' FROM made, generate_series(1, 50) line"
        ));
    }
    deletes(&database, "ada", "single", NOW).await.unwrap();
    assert!(dir.path().join(format!("jobs/{gone}/e")).exists(), "the row comes first");
    remove_some(&database.store, &folder).await.unwrap();
    assert!(!dir.path().join(format!("jobs/{gone}")).exists());
    assert!(dir.path().join(format!("jobs/{kept}/step-8/weights")).exists());
    assert_eq!((database.count("metric_points"), database.count("logs")), (25_002, 50), "those of the other");
    assert_eq!(
        database.count("removals WHERE removed_at IS NOT NULL AND bytes = 0 AND due_at > now() + interval '23 hours'"),
        1
    );

    // A rank that was cut off writes once more; a day later that is found, and then it is done.
    write(dir.path(), gone);
    remove_some(&database.store, &folder).await.unwrap();
    assert!(dir.path().join(format!("jobs/{gone}")).exists());
    database.execute("UPDATE removals SET due_at = now()");
    remove_some(&database.store, &folder).await.unwrap();
    assert!(!dir.path().join(format!("jobs/{gone}")).exists());
    assert_eq!(database.count("removals"), 0);
}

#[tokio::test]
async fn a_rank_that_still_writes_is_waited_for() {
    let database = TestStore::open().await;
    database.workers(1).await;
    let dir = tempfile::tempdir().unwrap();
    let folder = StoreFolder::open(dir.path()).unwrap();
    let job = submit_as(&database, "ada", &single(1)).await[0];
    write(dir.path(), job);
    database.schedule(&database.scheduler(), &mut None).await;
    database.execute("UPDATE leases SET dispatched_at = now()");
    deletes(&database, "ada", "single", CANCEL).await.unwrap();
    remove_some(&database.store, &folder).await.unwrap();
    assert!(dir.path().join(format!("jobs/{job}")).exists());
    database.execute("UPDATE leases SET released_at = now(), outcome = 'cancelled'");
    remove_some(&database.store, &folder).await.unwrap();
    assert!(!dir.path().join(format!("jobs/{job}")).exists());
}

#[tokio::test]
async fn a_store_that_is_away_has_removed_nothing() {
    let database = TestStore::open().await;
    let dir = tempfile::tempdir().unwrap();
    let folder = StoreFolder::open(&dir.path().join("store")).unwrap();
    let job = submit_as(&database, "ada", &single(1)).await[0];
    succeed(&database, &[job], 0).await;
    write(&folder.root, job);
    deletes(&database, "ada", "single", NOW).await.unwrap();
    fs::rename(&folder.root, dir.path().join("away")).unwrap();
    fs::create_dir(&folder.root).unwrap();
    remove_some(&database.store, &folder).await.unwrap();
    let noted = "removals WHERE removed_at IS NULL AND tries = 1 AND last_error LIKE '%cannot read its store%' AND due_at > now()";
    assert_eq!(database.count(noted), 1);
    fs::remove_dir(&folder.root).unwrap();
    fs::rename(dir.path().join("away"), &folder.root).unwrap();
    database.execute("UPDATE removals SET due_at = now()");
    remove_some(&database.store, &folder).await.unwrap();
    assert!(!folder.root.join(format!("jobs/{job}")).exists());
    assert_eq!(database.count("removals WHERE removed_at IS NOT NULL AND last_error = ''"), 1);
}

#[tokio::test]
async fn what_is_to_be_removed_elsewhere_is_not() {
    let database = TestStore::open().await;
    let dir = tempfile::tempdir().unwrap();
    let folder = StoreFolder::open(dir.path()).unwrap();
    let job = submit_as(&database, "ada", &single(1)).await[0];
    fs::create_dir(dir.path().join("datasets")).unwrap();
    database.execute(&format!(
        "INSERT INTO removals (job_id, path, is_whole, bytes) VALUES ('{job}', 'datasets', false, 1), ('{job}', '../x', false, 1)"
    ));
    remove_some(&database.store, &folder).await.unwrap();
    assert!(dir.path().join("datasets").exists());
    assert_eq!(database.count("removals WHERE last_error LIKE '%is not in the folder of its job%'"), 1);
    assert_eq!(database.count("removals WHERE last_error <> ''"), 2);
}

#[tokio::test]
async fn bytes_are_added_up_and_stay_the_same() {
    let database = TestStore::open().await;
    let jobs = submit_as(&database, "ada", &experiment(1)).await;
    succeed(&database, &jobs, 0).await;
    let conn = &mut *database.store.conn().await.unwrap();
    let sum = database.count("stored_changes");
    assert!(sum > 3, "{sum}");
    assert_eq!(stored::of(conn, "ada").await.unwrap(), 360);
    while stored::add_up(conn, 4).await.unwrap() > 0 {
        assert_eq!(stored::of(conn, "ada").await.unwrap(), 360);
    }
    assert_eq!((database.count("stored_changes"), database.count("stored_bytes")), (0, 1));
    assert_eq!(stored::of_all(conn, 9).await.unwrap(), [("ada".to_owned(), 360)]);
    assert_eq!(database.value::<i64>("SELECT sum(bytes)::bigint FROM job_files"), 360);
}
