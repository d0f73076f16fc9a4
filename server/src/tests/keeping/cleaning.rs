use std::collections::BTreeMap;

use tandem_domain::keeping::verdict::Why;

use super::*;
use crate::{
    keeping::{
        clean::{Cleaned, Cursor, step},
        labels,
        task::Keeper,
    },
    store::audit::Entry,
    store_folder::StoreFolder,
};

/// All steps, added up by kind.
async fn clean(database: &TestStore, dry_run: bool) -> BTreeMap<&'static str, Cleaned> {
    let by = Entry {
        who: "root".to_owned(),
        what: "Keeping/Clean".to_owned(),
        outcome: "done".to_owned(),
        ..Entry::default()
    };
    let (mut cursor, mut all) = (Some(Cursor::FIRST), BTreeMap::<_, Cleaned>::new());
    while let Some(at) = cursor {
        let one = step(&database.store, at, (!dry_run).then_some(&by)).await.unwrap();
        let sum = all.entry(one.what).or_default();
        sum.objects += one.cleaned.objects;
        sum.items += one.cleaned.items;
        sum.bytes += one.cleaned.bytes;
        for (why, count) in one.cleaned.stays {
            *sum.stays.entry(why).or_default() += count;
        }
        cursor = one.next;
    }
    all
}

fn state(database: &TestStore) -> String {
    database.text(
        "SELECT concat((SELECT string_agg(j::text, '|' ORDER BY id) FROM jobs j), (SELECT string_agg(c::text, '|' ORDER BY job_id, step)
             FROM checkpoints c), (SELECT count(*) FROM metric_points), (SELECT count(*) FROM audit), (SELECT count(*) FROM removals),
             (SELECT string_agg(e::text, '|' ORDER BY id) FROM experiments e))",
    )
}

/// Five encoders of one experiment that ended 40 days ago; the larger the index, the better and the later.
async fn five(database: &TestStore) -> Vec<Uuid> {
    let toml = single(1).replace("seed = 1\n", "") + "[jobs.encoder.sweep]\nseed = [1, 2, 3, 4, 5]\n";
    let jobs = submit_as(database, "ada", &toml).await;
    succeed(database, &jobs, 40).await;
    for (place, job) in jobs.iter().enumerate() {
        database.execute(&format!(
            "UPDATE jobs SET finished_at = finished_at + interval '{place} minutes' WHERE id = '{job}';
             INSERT INTO results (job_id, name, value, fence, at, stage)
             VALUES ('{job}', 'knn_accuracy', 0.{place}, 1, now(), 'contrastive')"
        ));
    }
    jobs
}

#[tokio::test]
async fn nothing_goes_by_itself() {
    let database = TestStore::open().await;
    let jobs = five(&database).await;
    let before = state(&database);
    for dry_run in [true, false] {
        assert!(clean(&database, dry_run).await.values().all(|kind| *kind == Cleaned::default()));
    }
    set_policy(&database, "[retention]\nkeep_best = 0\nkeep_last = 0").await;
    clean(&database, false).await;
    let after = state(&database);
    assert!(jobs.len() == 5 && before.split("|").count() == after.split("|").count());
    assert_eq!(database.count("checkpoints WHERE gone_at IS NULL"), 10);
}

#[tokio::test]
async fn checkpoints_go_by_age_but_those_of_the_best_the_last_and_the_tagged() {
    let database = TestStore::open().await;
    let jobs = five(&database).await;
    // The first is the best, the last is the last, and the middle one is tagged.
    database.execute(&format!("UPDATE results SET value = 0.9 WHERE job_id = '{}'", jobs[0]));
    let tag = ["camera-ready".to_owned()];
    labels::set_tags(&database.store, &jobs[2].to_string(), &tag, false, &person("ada")).await.unwrap();
    set_policy(&database, "[retention]\ncheckpoints_after = \"30d\"\nkeep_best = 1\nkeep_last = 1").await;
    let before = state(&database);
    let would = clean(&database, true).await;
    assert_eq!(state(&database), before, "a dry run changes nothing");
    let stays = BTreeMap::from([(Why::Best, 1), (Why::Last, 1), (Why::Tagged, 1)]);
    assert_eq!(would["checkpoints"], Cleaned { objects: 2, items: 4, bytes: 40, stays });
    assert_eq!(clean(&database, false).await, would, "and says what is done");
    let kept: Vec<Uuid> = database.values("SELECT DISTINCT job_id FROM checkpoints WHERE gone_at IS NULL");
    assert!(kept.len() == 3 && ![jobs[1], jobs[3]].iter().any(|job| kept.contains(job)), "{kept:?}");
    assert_eq!(database.count("checkpoints"), 10, "receipts list those that are gone");
    assert_eq!(
        database
            .count("removals r JOIN checkpoints c ON c.path = r.path WHERE NOT r.is_whole AND c.gone_at IS NOT NULL"),
        4
    );
    assert_eq!(database.value::<i64>("SELECT sum(checkpoints)::bigint FROM job_files"), 60);
    assert_eq!(database.count("artifacts"), 5, "what a job made stays");
    assert_eq!(
        database
            .count("audit WHERE what = 'Keeping/Clean' AND object LIKE '4 checkpoints of 2 jobs%' AND who = 'root'"),
        1
    );
    assert_eq!(clean(&database, false).await["checkpoints"].objects, 0, "twice is once");
}

#[tokio::test]
async fn what_runs_again_or_is_replayed_keeps_its_checkpoints() {
    let database = TestStore::open().await;
    let jobs = five(&database).await;
    set_policy(&database, "[retention]\ncheckpoints_after = \"30d\"\nkeep_best = 0\nkeep_last = 0").await;
    database.execute(&format!("UPDATE jobs SET state = 'queued', finished_at = NULL WHERE id = '{}'", jobs[0]));
    let replay = submit_as(&database, "bob", &single(9)).await[0];
    database.execute(&format!("UPDATE jobs SET reproduces = '{}' WHERE id = '{replay}'", jobs[1]));
    let done = clean(&database, false).await;
    assert_eq!(done["checkpoints"].stays, BTreeMap::from([(Why::Live, 1), (Why::Needed, 1)]));
    assert_eq!(done["checkpoints"].objects, 3);
    // Even if that was decided before: the statement asks again.
    let dropped =
        crate::store::retention::drop_checkpoints(&mut database.store.conn().await.unwrap(), &jobs).await.unwrap();
    assert!(dropped.is_empty(), "{dropped:?}");
}

#[tokio::test]
async fn a_shared_job_stays_while_one_of_its_experiments_keeps_it() {
    let database = TestStore::open().await;
    let jobs = five(&database).await;
    // Of bob's, the first is the only one.
    assert_eq!(submit_as(&database, "bob", &single(1)).await[0], jobs[0]);
    set_policy(&database, "[retention]\ncheckpoints_after = \"30d\"\nkeep_best = 1\nkeep_last = 0").await;
    let done = clean(&database, false).await;
    assert_eq!((done["checkpoints"].objects, &done["checkpoints"].stays), (3, &BTreeMap::from([(Why::Best, 2)])));
}

#[tokio::test]
async fn curves_are_thinned_and_keep_their_ends_and_extremes() {
    let database = TestStore::open().await;
    let jobs = five(&database).await;
    for job in [jobs[0], jobs[4]] {
        database.execute(&format!(
            "INSERT INTO metrics SELECT '{job}', 'loss', step, CASE step WHEN 777 THEN 99 WHEN 12345 THEN -99 ELSE step % 7 END, 1, now()
             FROM generate_series(1, 25000) step;
             INSERT INTO metrics SELECT '{job}', 'short', step, 1, 1, now() FROM generate_series(1, 50) step;
             INSERT INTO folds VALUES ('{job}')"
        ));
    }
    super::super::points::fold_all(&database).await;
    assert_eq!(database.count("metrics"), 0);
    set_policy(&database, "[retention]\npoints_after = \"30d\"\npoints = 100\nkeep_best = 1\nkeep_last = 0").await;
    let would = clean(&database, true).await;
    assert_eq!((would["points"].objects, would["points"].items), (1, 24_900));
    assert_eq!(database.count("metric_points"), 50_100);
    let done = clean(&database, false).await;
    assert_eq!(done["points"].stays, BTreeMap::from([(Why::Best, 1)]));
    let own = |what: &str| format!("metric_points WHERE job_id = '{}' AND {what}", jobs[0]);
    let left = database.count(&own("name = 'loss'"));
    assert!((90..=100).contains(&left), "{left}");
    assert_eq!(database.count(&own("name = 'loss' AND step IN (1, 777, 12345, 25000)")), 4);
    assert_eq!(
        (database.count(&own("name = 'short'")), database.count("metric_points WHERE name = 'loss'")),
        (50, 25_000 + left)
    );
    let again = clean(&database, false).await;
    assert_eq!(again["points"].objects, 0, "twice is once");
    assert_eq!(database.count("jobs WHERE thinned_to = 100"), 4);
    assert_eq!(database.count("audit WHERE what = 'Keeping/Clean' AND object LIKE '%points of curves of 1 jobs'"), 1);
}

#[tokio::test]
async fn experiments_are_archived_and_then_deleted_if_the_policy_says_so() {
    let database = TestStore::open().await;
    five(&database).await;
    let tagged = submit_as(&database, "bob", &experiment(2)).await;
    succeed(&database, &tagged, 50).await;
    let running = submit_as(&database, "eve", &single(7)).await;
    database.execute("UPDATE experiments SET created_at = created_at - interval '60 days'");
    let tag = ["keep".to_owned()];
    labels::set_tags(&database.store, &tagged[1].to_string(), &tag, false, &person("bob")).await.unwrap();
    set_policy(&database, "[retention]\narchive_after = \"30d\"").await;
    let done = clean(&database, false).await;
    assert_eq!(done["archive"].stays, BTreeMap::from([(Why::Live, 1), (Why::Tagged, 1)]));
    assert_eq!((done["archive"].objects, database.count("experiments WHERE archived_at IS NOT NULL")), (1, 1));
    assert_eq!(database.count("jobs WHERE deleted_at IS NOT NULL"), 0);

    set_policy(&database, "[retention]\ndelete_after = \"50d\"").await;
    assert_eq!(clean(&database, false).await["delete"].objects, 0, "40 days are not 50");
    set_policy(&database, "[retention]\ndelete_after = \"30d\"\nkeep_younger = \"45d\"").await;
    assert_eq!(clean(&database, false).await["delete"].objects, 0, "nor 45");
    set_policy(&database, "[retention]\ndelete_after = \"30d\"").await;
    let would = clean(&database, true).await;
    assert_eq!((would["delete"].objects, would["delete"].items, would["delete"].bytes), (1, 5, 600));
    let done = clean(&database, false).await;
    assert_eq!(done["delete"], would["delete"]);
    assert_eq!(database.count("jobs WHERE deleted_at IS NOT NULL"), 5);
    assert_eq!(database.count("removals WHERE is_whole"), 5);
    assert_eq!(database.count("audit WHERE object LIKE 'deleted for its age: single %' AND whose = 'ada'"), 1);
    assert_eq!(database.state(running[0]).await, "queued");
}

#[tokio::test]
async fn the_leader_cleans_once_a_day_and_nobody_else() {
    let database = TestStore::open().await;
    five(&database).await;
    set_policy(&database, "[retention]\ncheckpoints_after = \"30d\"").await;
    let dir = tempfile::tempdir().unwrap();
    let scheduler = database.scheduler();
    let keeper =
        |holder| Keeper { store: database.store.clone(), folder: StoreFolder::open(dir.path()).unwrap(), holder };
    database.schedule(&scheduler, &mut None).await;
    keeper(Uuid::new_v4()).pass(true).await.unwrap();
    let kept = "checkpoints WHERE gone_at IS NULL";
    assert_eq!((database.count("cleaned"), database.count(kept)), (0, 10), "somebody else leads");
    keeper(scheduler.id).pass(true).await.unwrap();
    assert_eq!((database.count("cleaned"), database.count(kept)), (1, 2));
    assert_eq!(
        database.text("SELECT DISTINCT who || ' ' || via FROM audit WHERE what = 'Keeping/Clean'"),
        "policy leader"
    );
    database.execute("UPDATE checkpoints SET gone_at = NULL; UPDATE job_files SET checkpoints = 20");
    keeper(scheduler.id).pass(true).await.unwrap();
    assert_eq!(database.count(kept), 10, "it has done so today");
    database.execute("UPDATE cleaned SET at = at - interval '25 hours'");
    keeper(scheduler.id).pass(true).await.unwrap();
    assert_eq!(database.count(kept), 2);
}
