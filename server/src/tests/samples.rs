//! What devices are like: stored, thinned, shown; and what follows for who is given work.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tandem_domain::device::Reading;
use tokio::sync::mpsc;

use super::*;
use crate::{
    dispatch::sessions::Session,
    query::devices,
    release::release,
    samples::Samples,
    store::{
        samples::{Point, Span, Thinned, points, thin},
        usage,
    },
};

/// A worker that is there, and its stream.
async fn stream(database: &TestStore, index: u32) -> Session {
    let worker = registration(Uuid::new_v4(), index);
    let session = Session::new(worker.id, worker.name.clone(), Vec::new(), mpsc::channel(64).0);
    workers::register(&mut database.store.conn().await.unwrap(), &worker, session.id).await.unwrap();
    session
}

fn look(age_ms: u64, figures: v1::DeviceFigures) -> v1::Look {
    v1::Look { age_ms, figures: Some(figures) }
}

fn hot() -> v1::DeviceFigures {
    v1::DeviceFigures {
        utilization_percent: Some(97),
        memory_used_bytes: Some(9 << 30),
        memory_total_bytes: Some(11 << 30),
        temperature_celsius: Some(91),
        power_watts: Some(240),
        sm_clock_mhz: Some(1700),
        throttle: Some(0x48),
        ..Default::default()
    }
}

fn withheld(why: &str) -> v1::Samples {
    v1::Samples { withheld: why.to_owned(), ..Default::default() }
}

fn ailing(reason: &str, age_ms: u64, lasts: bool) -> v1::Samples {
    v1::Samples { ailment: reason.to_owned(), ailment_age_ms: age_ms, ailment_lasts: lasts, ..Default::default() }
}

#[tokio::test]
async fn looks_are_stored_together_and_what_cannot_be_is_not_known() {
    let database = TestStore::open().await;
    let session = stream(&database, 0).await;
    let samples = Samples::new(database.store.clone());
    let lies = v1::DeviceFigures { temperature_celsius: Some(u32::MAX), utilization_percent: Some(250), ..hot() };
    let process =
        v1::DeviceProcess { pid: 4711, user: "ann\0".to_owned(), name: "x".repeat(5000), ..Default::default() };
    let message = v1::Samples {
        looks: vec![look(5000, hot()), look(0, lies)],
        processes: vec![process; 100],
        ..Default::default()
    };
    samples.receive(&session, message).await.unwrap();
    assert_eq!(database.count("samples"), 0, "not each by itself");
    samples.store_pending().await.unwrap();
    samples.store_pending().await.unwrap();
    type Row = (Option<i16>, Option<i16>, Option<i64>, Option<i16>);
    let rows: Vec<Row> =
        database.rows("SELECT utilization, temperature, memory_used, throttle FROM samples ORDER BY at");
    assert_eq!(rows, [(Some(97), Some(91), Some(9 << 30), Some(0x48)), (None, None, Some(9 << 30), Some(0x48))]);
    let apart: f64 = database.value("SELECT EXTRACT(epoch FROM max(at) - min(at))::float8 FROM samples");
    assert!((4.0..6.0).contains(&apart), "{apart}");

    let now = devices::now(&mut database.store.conn().await.unwrap(), Some("cpu-0")).await.unwrap().remove(0);
    let (_, facts) = now.newest.unwrap();
    assert_eq!((facts.reading.temperature_celsius, facts.reading.memory_total), (None, Some(11 << 30)));
    assert_eq!((facts.processes.len(), facts.processes[0].name.len()), (32, 64));
    assert_eq!(now.points.iter().filter_map(|point| point.utilization).collect::<Vec<_>>(), [97.0]);
    let nobody = devices::now(&mut database.store.conn().await.unwrap(), Some("gpu-7")).await;
    assert!(nobody.err().unwrap().to_string().contains("there are: cpu-0"));

    let flood = v1::Samples { looks: vec![look(0, hot()); 101], ..Default::default() };
    assert!(samples.receive(&session, flood).await.unwrap_err().message().contains("101 looks"));
}

#[tokio::test]
async fn a_device_in_use_is_given_to_nobody_until_it_is_free() {
    let database = TestStore::open().await;
    let session = stream(&database, 0).await;
    let samples = Samples::new(database.store.clone());
    let why = "in use by ann: python (pid 4711, 3.2 GiB)";
    samples.receive(&session, withheld(why)).await.unwrap();
    samples.receive(&session, withheld(why)).await.unwrap();
    let job = ids(&database.submit(&single(1)).await)[0];
    let (scheduler, mut term) = (database.scheduler(), None);
    database.schedule(&scheduler, &mut term).await;
    let (state, reason) = database.job(job).await;
    assert_eq!(state, "queued");
    assert_eq!(reason, format!("waits for 1 cpu worker: cpu-0 is {why}"));
    assert_eq!(database.text("SELECT state FROM fleet_overview"), "in use");
    let status = crate::query::status::status(&mut database.store.conn().await.unwrap()).await.unwrap();
    let shown = crate::convert::worker(status.workers.into_iter().next().unwrap());
    assert_eq!((shown.state(), shown.withheld.as_str()), (v1::WorkerState::InUse, why));

    samples.receive(&session, withheld("")).await.unwrap();
    database.schedule(&scheduler, &mut term).await;
    assert_eq!(database.state(job).await, "running");
    let events = database.values::<String>("SELECT kind FROM events WHERE kind LIKE 'worker %' ORDER BY id");
    assert_eq!(events, ["worker in use", "worker free"], "each change once");

    // A guest beside a job: the job goes on, and the next one waits.
    samples.receive(&session, withheld(why)).await.unwrap();
    database.schedule(&scheduler, &mut term).await;
    assert_eq!(database.state(job).await, "running");
    // An old stream says nothing about the worker of a new one.
    let stale = Session::new(session.worker, "cpu-0".to_owned(), Vec::new(), mpsc::channel(1).0);
    samples.receive(&stale, withheld("in use by a ghost")).await.unwrap();
    assert_eq!(database.text("SELECT withheld FROM workers"), why);
}

#[tokio::test]
async fn a_card_that_fails_is_quarantined_with_its_reason_and_a_release_holds_until_it_fails_again() {
    let database = TestStore::open().await;
    let session = stream(&database, 0).await;
    let samples = Samples::new(database.store.clone());
    let quarantine =
        || database.values::<String>("SELECT quarantine_reason FROM workers WHERE quarantined_until > now()");
    let reason = "the card failed: it has fallen off the bus (Xid 79)";
    samples.receive(&session, ailing(reason, 3000, false)).await.unwrap();
    assert_eq!(quarantine(), [reason]);
    let event = database.text("SELECT message FROM events WHERE kind = 'worker quarantined'");
    assert_eq!(event, format!("cpu-0 gets no jobs for 1 h, or until `tandem release cpu-0`: {reason}"));
    // What became of jobs elsewhere says nothing of the card.
    assert!(!workers::lift_quarantine(&mut database.store.conn().await.unwrap(), session.worker).await.unwrap());

    release(&database.store, &person("root"), "cpu-0").await.unwrap();
    let again = stream_again(&database, &session).await;
    samples.receive(&again, ailing(reason, 60_000, false)).await.unwrap();
    assert!(quarantine().is_empty(), "whoever released it has seen that");
    samples.receive(&again, ailing("the card failed: its microcontroller halted (Xid 62)", 0, false)).await.unwrap();
    assert_eq!(quarantine().len(), 1);

    // One that is lost is no card, whoever says so.
    release(&database.store, &person("root"), "cpu-0").await.unwrap();
    samples.receive(&again, ailing("it is lost", 60_000, true)).await.unwrap();
    assert_eq!(quarantine(), ["it is lost"]);
}

async fn stream_again(database: &TestStore, before: &Session) -> Session {
    let session = Session::new(before.worker, before.name.clone(), Vec::new(), mpsc::channel(64).0);
    let worker = registration(before.worker, 0);
    workers::register(&mut database.store.conn().await.unwrap(), &worker, session.id).await.unwrap();
    session
}

/// A look so many seconds ago.
fn insert(database: &TestStore, worker: Uuid, seconds_ago: f64, utilization: &str, throttle: i32) {
    database.execute(&format!(
        "INSERT INTO samples (worker_id, at, utilization, memory_used, temperature, power_watts, sm_clock, throttle)
         VALUES ('{worker}', now() - make_interval(secs => {seconds_ago}), {utilization}, 1000, 70, 200, 1500, {throttle})"
    ));
}

async fn thin_all(database: &TestStore) -> Thinned {
    let mut all = Thinned::default();
    for _ in 0..50 {
        let step = thin(&mut database.store.conn().await.unwrap()).await.unwrap();
        (all.made, all.dropped) = (all.made + step.made, all.dropped + step.dropped);
        if !step.is_behind {
            return all;
        }
    }
    panic!("it is never done: {all:?}");
}

#[tokio::test]
async fn looks_become_minutes_and_both_are_dropped_by_age() {
    let database = TestStore::open().await;
    let worker = database.workers(1).await[0];
    database.execute("UPDATE samples_thinned SET through = now() - interval '3 days'");
    // Two days ago, in one minute; a row whose figures are not known counts for none.
    let minute: DateTime<Utc> = database.value("SELECT date_trunc('minute', now() - interval '2 days')");
    for (second, utilization, throttle) in [(1, "10", 0), (20, "30", 64), (40, "NULL", 0)] {
        database.execute(&format!(
            "INSERT INTO samples (worker_id, at, utilization, memory_used, temperature, power_watts, sm_clock, throttle)
             VALUES ('{worker}', '{minute}'::timestamptz + interval '{second} s', {utilization}, {second}, {second}, 200, 1500, {throttle})"
        ));
    }
    insert(&database, worker, 1800.0, "50", 0);
    insert(&database, worker, 1.0, "60", 0);
    database.execute(&format!(
        "INSERT INTO samples_by_minute (worker_id, minute, looks, throttled) VALUES ('{worker}', now() - interval '32 days', 1, false)"
    ));
    let done = thin_all(&database).await;
    assert_eq!((done.made, done.dropped), (2, 4));
    type Row = (i16, Option<f32>, Option<i64>, Option<i16>, bool);
    let rows: Vec<Row> = database
        .rows("SELECT looks, utilization, memory_used, temperature, throttled FROM samples_by_minute ORDER BY minute");
    assert_eq!(rows, [(3, Some(20.0), Some(40), Some(40), true), (1, Some(50.0), Some(1000), Some(70), false)]);
    assert_eq!(database.count("samples"), 2, "those of the last hour");
    assert_eq!(thin_all(&database).await, Thinned::default(), "nothing is left to do");
    // The present minute is not over: its looks may still come.
    let late: bool = database.value("SELECT through < now() - interval '59 s' FROM samples_thinned");
    assert!(late);
}

#[tokio::test]
async fn no_look_is_dropped_before_it_counts_for_its_minute() {
    let database = TestStore::open().await;
    let worker = database.workers(1).await[0];
    database.execute("UPDATE samples_thinned SET through = now() - interval '2 h'");
    for minute in 0..100 {
        insert(&database, worker, 60.0 * f64::from(minute) + 130.0, "10", 0);
    }
    let first = thin(&mut database.store.conn().await.unwrap()).await.unwrap();
    assert!(first.is_behind && first.made <= 11, "{first:?}");
    let lost: i64 = database.value(
        "SELECT count(*) FROM samples_thinned t WHERE t.through < now() - interval '1 h' AND NOT EXISTS (
             SELECT FROM samples s WHERE s.at >= t.through AND s.at < now() - interval '1 h')",
    );
    assert_eq!(lost, 0, "what is old and not thinned is still there");
    thin_all(&database).await;
    assert_eq!(database.count("samples_by_minute"), 100);
}

#[tokio::test]
async fn figures_of_a_span_come_from_looks_and_from_minutes() {
    let database = TestStore::open().await;
    let ids = database.workers(2).await;
    let worker = ids[0];
    let now: DateTime<Utc> = database.value("SELECT now()");
    database.execute("UPDATE samples_thinned SET through = now() - interval '61 min'");
    insert(&database, worker, 3000.0, "40", 0);
    insert(&database, worker, 2990.0, "60", 8);
    insert(&database, worker, 100.0, "NULL", 0);
    database.execute(&format!(
        "INSERT INTO samples_by_minute (worker_id, minute, looks, utilization, memory_used, throttled)
         VALUES ('{worker}', now() - interval '5 h', 12, 80, 7, false), ('{worker}', now() - interval '30 min', 12, 99, 7, false)"
    ));
    let ago = |seconds| now - chrono::TimeDelta::seconds(seconds);
    let spans = [
        Span { worker, from: ago(3600), until: now },
        Span { worker: ids[1], from: ago(3600), until: now },
        Span { worker, from: ago(6 * 3600), until: now },
    ];
    let of = points(&mut database.store.conn().await.unwrap(), &spans, 12).await.unwrap();
    let shown = |points: &[Point]| -> Vec<(Option<f64>, bool)> {
        points.iter().map(|point| (point.utilization, point.throttled)).collect()
    };
    assert_eq!(shown(&of[0]), [(Some(50.0), true), (None, false)], "two looks fall into one point");
    assert!(of[0][0].at >= ago(3600) && of[0][0].at <= ago(2990), "{:?}", of[0]);
    assert!(of[1].is_empty());
    assert_eq!(shown(&of[2])[0], (Some(80.0), false));
    assert_eq!(of[2].len(), 3, "minutes that are not all there yet count as looks alone: {:?}", of[2]);

    // Once they are all there, points that are minutes long are made of minutes.
    database.execute("UPDATE samples_thinned SET through = now() - interval '10 min'");
    let mut conn = database.store.conn().await.unwrap();
    let coarse = points(&mut conn, &spans[..1], 12).await.unwrap().remove(0);
    assert_eq!(shown(&coarse), [(Some(99.0), false), (None, false)]);
    let fine = points(&mut conn, &spans[..1], 120).await.unwrap().remove(0);
    assert_eq!(shown(&fine), [(Some(50.0), true), (None, false)]);
}

#[tokio::test]
async fn who_used_how_much_is_cut_at_midnight() {
    let database = TestStore::open().await;
    database.workers(2).await;
    let job = ids(&database.submit(&experiment(1)).await)[0];
    database.schedule(&database.scheduler(), &mut None).await;
    assert_eq!(database.lease_holders(job).len(), 2);
    database.execute(
        "UPDATE attempts SET assigned_at = date_trunc('day', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' - interval '26 h';
         UPDATE leases SET outcome = 'lost',
             released_at = date_trunc('day', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' - interval '23 h'",
    );
    let since = Utc::now() - chrono::TimeDelta::days(30);
    let mut conn = database.store.conn().await.unwrap();
    let rows = usage::since(&mut conn, since).await.unwrap();
    let shown: Vec<_> =
        rows.iter().map(|row| (row.owner.as_str(), row.kind.as_str(), row.device_seconds, row.jobs)).collect();
    // Two devices: an hour of yesterday, and two of the day before.
    assert_eq!(shown, [("ada", "cpu", 7200.0, 1), ("ada", "cpu", 14_400.0, 1)]);
    assert!(rows[0].day > rows[1].day, "{rows:?}");
    assert!(usage::since(&mut conn, Utc::now()).await.unwrap().is_empty());
    let (_, name, held) = devices::of_job(&mut conn, &job.to_string(), "ada").await.unwrap();
    let ranks: Vec<_> = held.iter().map(|device| device.held.unwrap()).collect();
    assert_eq!((name.as_str(), ranks), ("encoder", vec![(1, 0), (1, 1)]));
    assert_eq!((held[0].until - held[0].from).num_hours(), 3);
}

#[tokio::test]
async fn only_the_leader_thins() {
    let database = TestStore::open().await;
    let worker = database.workers(1).await[0];
    database.execute("UPDATE samples_thinned SET through = now() - interval '2 h'");
    insert(&database, worker, 600.0, "10", 0);
    let samples = Arc::new(Samples::new(database.store.clone()));
    let scheduler = database.scheduler();
    let closing = tokio_util::sync::CancellationToken::new();
    closing.cancel();
    samples.thin(scheduler.id, &closing).await;
    assert_eq!(database.count("samples_by_minute"), 0);
    scheduler.pass(&mut None, true).await.unwrap();
    samples.thin(scheduler.id, &closing).await;
    assert_eq!(database.count("samples_by_minute"), 1);
}

#[tokio::test]
async fn a_thousand_devices_cost_the_database_little() {
    let database = TestStore::open().await;
    let rows: Vec<_> = (0..1000)
        .map(|_| crate::store::samples::LookRow {
            worker: Uuid::new_v4(),
            age: Duration::ZERO,
            reading: Reading::from(hot()),
        })
        .collect();
    let mut conn = database.store.conn().await.unwrap();
    for _ in 0..3 {
        crate::store::samples::insert(&mut conn, &rows).await.unwrap();
    }
    assert_eq!(database.count("samples"), 3000);
    let bytes: i64 = database.value("SELECT pg_table_size('samples') / 3000");
    assert!(bytes < 200, "a look takes {bytes} bytes");
}
