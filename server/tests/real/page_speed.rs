//! What pages cost: `cargo test --release -p tandem-server --test real page_speed -- --ignored --nocapture`.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tandem_harness::{TestDatabase, until_async};
use tandem_proto::v1::{self, worker_message::Message};
use tokio::sync::Mutex;
use uuid::Uuid;

use crate::{
    LIMIT,
    browser::Browser,
    fake_worker::FakeWorker,
    server::{Server, submit},
};

const DEVICES: u32 = 64;
const QUEUED: u32 = 10_000;
const VIEWERS: usize = 200;

/// Heard of every second.
type Fleet = Arc<Mutex<Vec<(FakeWorker, v1::Assignment)>>>;

fn one_job(seed: u32) -> String {
    format!(
        "name = \"experiment-{seed}\"\ndataset = \"shapes\"\nseed = {seed}\n[jobs.encoder]\nstage = \"contrastive\"\n\
         encoder = \"resnet-tiny\"\nepochs = 2\nbatch_size = 64\nworkers = 1\n"
    )
}

/// A box whose devices are all busy, and a long line behind them.
async fn busy(server: &Server, database: &TestDatabase) -> Fleet {
    let workers: Fleet = Arc::default();
    let beating = workers.clone();
    tokio::spawn(async move {
        for number in 1.. {
            beat(&mut beating.lock().await, number).await;
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    });
    for number in 0..DEVICES {
        server.jobs().await.submit(submit(&one_job(number))).await.unwrap();
        let mut worker = FakeWorker::register(server, &format!("gpu-{number}"), Uuid::new_v4(), Vec::new()).await;
        let assignment = worker.assignment().await;
        workers.lock().await.push((worker, assignment));
    }
    database.execute(&format!(
        "INSERT INTO jobs SELECT (jsonb_populate_record(NULL::jobs, j || jsonb_build_object('id', gen_random_uuid(), 'name', 'job-' || n,
             'content_key', 'key-' || n, 'state', 'queued', 'queued_at', now(), 'started_at', NULL, 'position', n,
             'reason', 'waits for 1 worker of its kind, the first of which is expected to be free at about 17:40 UTC'))).*
         FROM (SELECT to_jsonb(jobs) AS j FROM jobs LIMIT 1) one, generate_series(1, {QUEUED}) n;
         INSERT INTO experiment_jobs (experiment_id, name, job_id, position, reused)
         SELECT experiment_id, name, id, position, false FROM jobs WHERE name LIKE 'job-%';
         UPDATE workers SET device_kind = 'cuda', device_name = 'NVIDIA GeForce GTX 1080 Ti', memory_bytes = 11811160064;
         ANALYZE"
    ));
    workers
}

async fn beat(workers: &mut [(FakeWorker, v1::Assignment)], number: u64) {
    for (index, (worker, assignment)) in workers.iter_mut().enumerate() {
        // Once the coordinator stops, nobody listens.
        if !worker.is_open() {
            return;
        }
        let load = u32::try_from((index as u64 * 7 + number) % 100).unwrap();
        let facts = v1::DeviceFacts {
            utilization_percent: Some(load),
            memory_used_bytes: Some(9 << 30),
            temperature_celsius: Some(60 + load / 10),
            power_watts: Some(240),
            foreign_processes: Some(0),
            ..Default::default()
        };
        let running = vec![crate::fake_worker::running_rank(assignment)];
        worker.send(Message::Heartbeat(v1::Heartbeat { sequence: number, facts: Some(facts), running })).await;
    }
}

fn percentile(times: &mut [Duration], share: f64) -> Duration {
    times.sort();
    times[((times.len() - 1) as f64 * share) as usize]
}

/// The workers go on meanwhile: nobody is to take them for lost.
async fn timed(browser: &mut Browser, path: &str, count: usize) -> (Duration, Duration, usize) {
    let (mut times, mut bytes) = (Vec::new(), 0);
    for _ in 0..count {
        let began = Instant::now();
        let seen = browser.ask("GET", path, &[("accept", "text/html"), ("accept-encoding", "gzip")], "").await;
        times.push(began.elapsed());
        assert_eq!(seen.code, 200);
        bytes = seen.bytes;
    }
    let (half, most) = (percentile(&mut times, 0.5), percentile(&mut times, 0.95));
    println!("{path}: p50 {half:.1?}, p95 {most:.1?}, {bytes} bytes compressed");
    (half, most, bytes)
}

/// Seconds of processors that this program has used.
fn used() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let after: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
    (after[11].parse::<f64>().unwrap() + after[12].parse::<f64>().unwrap()) / 100.0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures, and takes a while: see docs/REHEARSAL.md"]
async fn a_box_with_64_devices_and_10_000_queued_jobs_is_drawn_in_time_and_200_look_at_it_for_little() {
    let database = TestDatabase::create();
    let server = Server::start(&database).await;
    let token = {
        let request = v1::SetPersonRequest {
            name: "ann".into(),
            create: true,
            role: Some("reader".into()),
            ..Default::default()
        };
        server.people().await.set_person(request).await.unwrap();
        server.token("", "ann").await.secret
    };
    let workers = busy(&server, &database).await;
    let mut browser = Browser::at(&server.address);
    assert_eq!(browser.post("/login", &[("token", &token)]).await.code, 303);
    until_async("heartbeats are stored", LIMIT, async || {
        browser.get("/").await.body.contains("9.0 GiB of 11.0 GiB").then_some(())
    })
    .await;
    let (_, most, bytes) = timed(&mut browser, "/", 200).await;
    assert!(bytes <= 100_000, "{bytes}");
    assert!(cfg!(debug_assertions) || most <= Duration::from_millis(50), "{most:?}");
    for path in ["/queue", "/queue?part=90", "/experiments", "/experiments?state=failed", "/people", "/results"] {
        timed(&mut browser, path, 40).await;
    }
    let job = workers.lock().await[0].1.job_id.clone();
    database.execute(&format!(
        "INSERT INTO metrics (job_id, fence, name, step, value, at)
         SELECT '{job}', 1, 'curve-' || curve, step, random(), now() FROM generate_series(1, 10) curve, generate_series(1, 50000) step"
    ));
    timed(&mut browser, &format!("/jobs/{job}"), 40).await;

    // What the rest of the program costs meanwhile is measured beside it.
    let measured = async || {
        let (began, before) = (Instant::now(), used());
        tokio::time::sleep(Duration::from_secs(10)).await;
        (used() - before) / began.elapsed().as_secs_f64()
    };
    let without = measured().await;
    let mut reading = Vec::new();
    let seen = browser.get("/").await;
    for _ in 0..VIEWERS {
        let mut live = browser.live(&seen).await;
        reading.push(tokio::spawn(async move {
            let _ = live.until(|_| false).await;
            live.text
        }));
    }
    let with = measured().await;
    println!(
        "{VIEWERS} live pages: {:.3} of a core ({with:.3} with, {without:.3} without them), readers included",
        with - without
    );
    assert!(cfg!(debug_assertions) || with - without < 0.25, "{with} {without}");

    database.execute(
        "INSERT INTO workers SELECT (jsonb_populate_record(NULL::workers, w || jsonb_build_object('id', gen_random_uuid(), 'name', 'more-' || n,
             'session_id', NULL, 'state', 'lost'))).* FROM (SELECT to_jsonb(workers) AS w FROM workers LIMIT 1) one, generate_series(1, 1000) n",
    );
    timed(&mut browser, "/", 20).await;
    let all = browser.get("/").await;
    assert!(all.body.matches("<tr id=").count() > 1000);
    server.stop().await;
    let mut told = Vec::new();
    for one in reading {
        told.push(one.await.unwrap());
    }
    let least = told.iter().min_by_key(|text| text.len()).unwrap();
    println!("each was told {} bytes at least", least.len());
    assert!(least.matches("event: piece").count() > usize::try_from(DEVICES).unwrap(), "{least}");
}
