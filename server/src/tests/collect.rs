//! Reports of many workers in one transaction are stored as if each came alone.

use futures::future::join_all;
use tandem_domain::state::RankOutcome;
use tandem_proto::v1::{LogEvent, MetricEvent, PhaseEvent, ProgressEvent, rank_event::Event};

use super::*;
use crate::report::{Receipt, collect::Collector, rank_ended};

fn points(first: u64) -> Vec<v1::RankEvent> {
    let metric = |step: u64| Event::Metric(MetricEvent { name: "loss".to_owned(), step, value: step as f64 });
    vec![
        event(first, metric(first)),
        event(first + 1, metric(first + 1)),
        event(first + 2, Event::Progress(ProgressEvent { step: first + 1, steps: 99, ..Default::default() })),
        event(first + 3, Event::Log(LogEvent { line: format!("line {first}") })),
    ]
}

#[tokio::test]
async fn each_report_gets_its_own_answer_and_every_point_is_stored_once() {
    const WORKERS: u32 = 20;
    let database = TestStore::open().await;
    database.workers(WORKERS).await;
    let mut jobs = Vec::new();
    for seed in 0..WORKERS {
        jobs.push(ids(&database.submit(&single(seed)).await)[0]);
    }
    // A pass claims as many as it has time for.
    let (scheduler, mut term) = (database.scheduler(), None);
    while database.count("jobs WHERE state = 'queued'") > 0 {
        database.schedule(&scheduler, &mut term).await;
    }
    let (reports, storing) = Collector::new(database.store.clone(), std::path::Path::new("/srv/store"));
    tokio::spawn(storing);
    let holders: Vec<LeaseHolder> = jobs.iter().map(|&job| database.lease_holders(job)[0]).collect();

    let begin = vec![event(1, Event::Phase(PhaseEvent { name: "training".to_owned(), first_step: 0 }))];
    let began = join_all(holders.iter().map(|&holder| reports.report(holder, begin.clone()))).await;
    assert!(began.into_iter().all(|receipt| receipt.unwrap() == Receipt::Stored));

    // One attempt has ended, one worker reports under an old fence, and every report is sent twice.
    rank_ended(&database.store, holders[3], RankOutcome::Lost, "a signal").await.unwrap();
    let reports_twice = holders.iter().enumerate().flat_map(|(i, &holder)| {
        let holder = if i == 7 { LeaseHolder { fence: holder.fence - 1, ..holder } } else { holder };
        [(holder, points(2)), (holder, points(2)), (holder, points(6))]
    });
    // In order for each of them, as on a stream.
    let mut streams: std::collections::BTreeMap<Uuid, Vec<(LeaseHolder, Vec<v1::RankEvent>)>> = Default::default();
    reports_twice.for_each(|(holder, events)| streams.entry(holder.worker).or_default().push((holder, events)));
    let streams = streams.into_values().map(|reports_of_one| {
        let reports = reports.clone();
        async move {
            let mut receipts = Vec::new();
            for (holder, events) in reports_of_one {
                receipts.push((holder, reports.report(holder, events).await.unwrap()));
            }
            receipts
        }
    });
    let receipts: Vec<(LeaseHolder, Receipt)> = join_all(streams).await.into_iter().flatten().collect();
    for (lease_holder, receipt) in receipts {
        let is_stale = [holders[3].worker, holders[7].worker].contains(&lease_holder.worker);
        assert_eq!(receipt, if is_stale { Receipt::Stale } else { Receipt::Stored }, "{lease_holder:?}");
    }
    let counts = "SELECT count(*), count(DISTINCT job_id), sum(value) FROM metrics";
    let sum = f64::from(18 * (2 + 3 + 6 + 7));
    assert_eq!(database.rows::<(i64, i64, f64)>(counts), [(18 * 4, 18, sum)]);
    let progress = "SELECT count(*), min(step), max(step) FROM progress WHERE steps = 99";
    assert_eq!(database.rows::<(i64, i64, i64)>(progress), [(18, 7, 7)]);
    assert_eq!(database.count("logs"), 36);
    let stale = format!("metrics WHERE job_id = '{}'", jobs[7]);
    assert_eq!(database.count(&stale), 0, "a stale worker changes no row");
}
