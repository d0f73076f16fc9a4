//! Points of curves: whatever comes, in whatever order and however often, is there once.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};

use super::*;
use crate::{
    fold,
    store::{
        leader, page,
        points::{Curve, Point, curves, insert},
    },
};

type Stored = BTreeMap<i64, f64>;

/// As the leader does: all that has ended is folded.
pub(super) async fn fold_all(database: &TestStore) {
    let me = Uuid::new_v4();
    database.execute("UPDATE leader SET expires_at = now() - interval '1 hour'");
    leader::hold(&mut database.store.conn().await.unwrap(), me, "test").await.unwrap();
    while fold::step(&database.store, me).await.unwrap() {}
}

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)
}

async fn put(database: &TestStore, job: Uuid, fence: i64, steps: impl IntoIterator<Item = (i64, f64)>) {
    let point = |(step, value)| (job, fence, Point { name: "loss".to_owned(), step, value, at: at(step) });
    let points: Vec<_> = steps.into_iter().map(point).collect();
    let mut tx = database.store.begin().await.unwrap();
    insert(&mut tx, &points).await.unwrap();
    tx.commit().await.unwrap();
}

fn stored(curve: &Curve) -> Stored {
    assert!(curve.steps.is_sorted_by(|before, after| before < after), "{:?}", curve.steps);
    curve.steps.iter().copied().zip(curve.values.iter().copied()).collect()
}

async fn read(database: &TestStore, job: Uuid) -> Stored {
    let found = curves(&mut database.store.reader().await.unwrap(), &[job], &[], 0).await.unwrap();
    found.first().map(stored).unwrap_or_default()
}

/// That curve, view and sums say what was measured.
async fn check(database: &TestStore, job: Uuid, measured: &Stored) {
    assert_eq!(read(database, job).await, *measured);
    let view: Vec<(i64, f64)> = database.rows("SELECT step, value FROM metric_points ORDER BY step");
    assert_eq!(view, measured.iter().map(|(step, value)| (*step, *value)).collect::<Vec<_>>());
    let sums: Vec<(i64, i64, i64, f64, f64, f64)> =
        database.rows("SELECT points, first_step, last_step, last, smallest, largest FROM curves");
    let (first, last) = (measured.first_key_value().unwrap(), measured.last_key_value().unwrap());
    let least = measured.values().copied().fold(f64::INFINITY, f64::min);
    let most = measured.values().copied().fold(f64::NEG_INFINITY, f64::max);
    assert_eq!(sums, [(measured.len() as i64, *first.0, *last.0, *last.1, least, most)]);
}

#[tokio::test]
async fn points_are_there_once_however_they_come() {
    let database = TestStore::open().await;
    let job = ids(&database.submit(&single(1)).await)[0];
    let mut measured = Stored::new();
    let (mut random, mut next) = (12_345_u64, 0_i64);
    let mut draw = |below: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % below
    };
    for round in 0..60 {
        // Some begin before what is there: a later attempt repeats steps, a report comes twice, one comes late.
        let back = if draw(3) == 0 { i64::try_from(draw(900)).unwrap() } else { 0 };
        let from = (next - back).max(0);
        let stride = if draw(4) == 0 { 3 } else { 1 };
        let count = [1, 7, 90, 128, 300, 1500][draw(6) as usize];
        let steps: Vec<i64> = (0..count).map(|place| from + place * stride).collect();
        let value = |step: i64| f64::from(round) + (step as f64).sin();
        for step in &steps {
            measured.entry(*step).or_insert_with(|| value(*step));
        }
        next = next.max(steps.last().unwrap() + 1);
        // Each step twice in one report, too.
        let twice = steps.iter().chain(steps.iter().take(2)).map(|step| (*step, value(*step)));
        put(&database, job, i64::from(round / 20), twice).await;
        let loose: i64 = database.count("metrics");
        assert!(loose < 1000 + 128, "{loose} points are in no chunk");
    }
    check(&database, job, &measured).await;
    assert!(database.count("metric_chunks") > 10);
    for from in [next / 2, next / 2 + 1, next - 1, next] {
        let rest = curves(&mut database.store.reader().await.unwrap(), &[job], &[], from).await.unwrap();
        let rest = rest.first().map(stored).unwrap_or_default();
        assert_eq!(rest, measured.range(from..).map(|(step, value)| (*step, *value)).collect::<Stored>());
    }

    // Repeated as a whole, by a later attempt.
    put(&database, job, 9, (0..next).map(|step| (step, -1.0)).filter(|(step, _)| measured.contains_key(step))).await;
    check(&database, job, &measured).await;

    database.execute("UPDATE jobs SET state = 'failed', queued_at = now(), finished_at = now()");
    database.execute(&format!("INSERT INTO folds VALUES ('{job}')"));
    fold_all(&database).await;
    assert_eq!((database.count("metrics"), database.count("folds")), (0, 0));
    check(&database, job, &measured).await;
    assert_eq!(database.count("metric_points WHERE fence = 9"), 0);
}

#[tokio::test]
async fn a_job_that_ends_leaves_chunks_and_one_that_runs_again_is_left_alone() {
    let database = TestStore::open().await;
    let job = ids(&database.submit(&single(1)).await)[0];
    put(&database, job, 4, (1..=100).map(|step| (step, 1.0))).await;
    put(&database, job, 7, (101..=110).map(|step| (step, 2.0))).await;
    assert_eq!((database.count("metrics"), database.count("metric_chunks")), (110, 0));
    crate::cancel::cancel(&database.store, &job.to_string(), &person("ada")).await.unwrap();
    assert_eq!(database.state(job).await, "cancelled");
    assert_eq!(database.count("folds"), 1, "it has ended, with points in no chunk");

    assert!(!fold::step(&database.store, Uuid::new_v4()).await.unwrap(), "another one leads");
    assert_eq!(database.count("metrics"), 110);
    database.execute("UPDATE jobs SET state = 'running', finished_at = NULL");
    fold_all(&database).await;
    assert_eq!((database.count("metrics"), database.count("folds")), (110, 0), "its next attempt writes these");

    database.execute("UPDATE jobs SET state = 'failed', finished_at = now()");
    database.execute(&format!("INSERT INTO folds VALUES ('{job}')"));
    fold_all(&database).await;
    assert_eq!(database.count("metrics"), 0);
    let chunks: Vec<(i64, i64, i64, i32)> =
        database.rows("SELECT fence, first_step, last_step, points FROM metric_chunks ORDER BY first_step");
    assert_eq!(chunks, [(4, 1, 100, 100), (7, 101, 110, 10)], "each of one attempt");
    // Its times are those of its ends, and evenly between.
    let times: Vec<(i64, f64)> = database.rows(
        "SELECT step, extract(epoch FROM at)::float8 FROM metric_points WHERE step IN (1, 50, 100, 110) ORDER BY step",
    );
    assert_eq!(times, [(1, 1.0), (50, 50.0), (100, 100.0), (110, 110.0)]);
}

/// A coordinator of an earlier version beside this one knows no chunks, and stores a step once more.
#[tokio::test]
async fn a_step_that_was_stored_twice_costs_no_other_point() {
    let database = TestStore::open().await;
    let job = ids(&database.submit(&single(1)).await)[0];
    put(&database, job, 1, (1..=200).map(|step| (step, 1.0))).await;
    assert_eq!(database.count("metric_chunks"), 1);
    put(&database, job, 2, (201..=220).map(|step| (step, 2.0))).await;
    database.execute(&format!("INSERT INTO metrics VALUES ('{job}', 'loss', 1, 9, 2, now())"));
    database.execute("UPDATE jobs SET state = 'failed', queued_at = now(), finished_at = now()");
    database.execute(&format!("INSERT INTO folds VALUES ('{job}')"));
    fold_all(&database).await;
    assert_eq!((database.count("metrics"), database.count("folds")), (0, 0));
    check(&database, job, &(1..=220).map(|step| (step, if step <= 200 { 1.0 } else { 2.0 })).collect()).await;
}

#[tokio::test]
async fn a_curve_is_whole_while_it_is_folded() {
    let database = TestStore::open().await;
    let job = ids(&database.submit(&single(1)).await)[0];
    let measured: Stored = (0..900).map(|step| (step, step as f64)).collect();
    for part in 0..9 {
        put(&database, job, 1, (part * 100..(part + 1) * 100).map(|step| (step, step as f64))).await;
    }
    database.execute("UPDATE jobs SET state = 'failed', queued_at = now(), finished_at = now()");
    for _ in 0..10 {
        database.execute(&format!("INSERT INTO folds VALUES ('{job}')"));
        let reading = async {
            for _ in 0..20 {
                assert_eq!(read(&database, job).await, measured);
            }
        };
        tokio::join!(reading, fold_all(&database));
        database.execute(
            "INSERT INTO metrics SELECT job_id, name, step, value, fence, at FROM metric_points; DELETE FROM metric_chunks",
        );
    }
}

#[tokio::test]
async fn chunks_take_a_tenth_of_the_room_and_a_page_reads_what_it_draws() {
    let database = TestStore::open().await;
    let job = ids(&database.submit(&single(1)).await)[0];
    for part in 0..50 {
        // As a loss is: of 32 bits, and noisy.
        let value = |step: i64| f64::from(((step as f64).sin() * 1e3).fract() as f32);
        put(&database, job, 1, (part * 1000..(part + 1) * 1000).map(|step| (step * 10, value(step)))).await;
    }
    let bytes: i64 = database.value("SELECT pg_total_relation_size('metric_chunks')");
    assert!(bytes < 20 * 50_000, "{} bytes a point", bytes as f64 / 5e4);
    put(&database, job, 1, [(500_003, 0.5)]).await;
    // As of an earlier version.
    database.execute(&format!(
        "INSERT INTO metrics VALUES ('{job}', 'older', 7, 3, 1, now()), ('{job}', 'older', 8, 4, 1, now())"
    ));
    let newest: Vec<(String, i64, f64)> = database.rows("SELECT (newest_metrics(id)).* FROM jobs ORDER BY 1");
    assert_eq!(newest, [("loss".to_owned(), 500_003, 0.5), ("older".to_owned(), 8, 4.0)]);

    let drawn = page::curves(&mut database.store.conn().await.unwrap(), job, 200).await.unwrap();
    assert_eq!(stored(&drawn[1]), Stored::from([(7, 3.0), (8, 4.0)]));
    let (drawn, all) = (stored(&drawn[0]), read(&database, job).await);
    assert!((200..=205).contains(&drawn.len()), "{}", drawn.len());
    assert!(drawn.iter().all(|(step, value)| all[step].to_bits() == value.to_bits()));
    assert_eq!((drawn.first_key_value().unwrap().0, drawn.last_key_value().unwrap().0), (&0, &500_003));
    let gaps: Vec<i64> = drawn.keys().zip(drawn.keys().skip(1)).map(|(before, after)| after - before).collect();
    assert!(gaps.iter().all(|gap| *gap <= 2503), "{gaps:?}");
}
