//! What pages cost: `cargo test --release -p tandem-server --test real page_speed -- --ignored --nocapture`.

use std::time::{Duration, Instant};

use tandem_harness::{TestDatabase, until_async};
use tandem_proto::v1::{self, rank_event::Event, worker_message::Message};
use uuid::Uuid;

use crate::{
    LIMIT,
    browser::Browser,
    fake_worker::{FakeWorker, event},
    server::{Server, submit},
};

const DEVICES: u32 = 64;
const QUEUED: u32 = 10_000;
const VIEWERS: usize = 200;

fn one_job(seed: u32) -> String {
    format!(
        "name = \"experiment-{seed}\"\ndataset = \"shapes\"\nseed = {seed}\n[jobs.encoder]\nstage = \"contrastive\"\n\
         encoder = \"resnet-tiny\"\nepochs = 2\nbatch_size = 64\nworkers = 1\n"
    )
}

/// A box whose devices are all busy, and a long line behind them.
async fn busy(server: &Server, database: &TestDatabase) -> Vec<(FakeWorker, v1::Assignment)> {
    let mut workers = Vec::new();
    for number in 0..DEVICES {
        server.jobs().await.submit(submit(&one_job(number))).await.unwrap();
        let mut worker = FakeWorker::register(server, &format!("gpu-{number}"), Uuid::new_v4(), Vec::new()).await;
        let assignment = worker.assignment().await;
        workers.push((worker, assignment));
        // Those that came first are not to be taken for lost.
        beat(&mut workers, u64::from(number) + 1).await;
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
        if !worker.is_open() {
            panic!("gpu-{index}, beat {number}: {:?}", worker.end().await);
        }
        let load = u32::try_from((index as u64 * 7 + number) % 100).unwrap();
        let facts = v1::DeviceFacts {
            utilization_percent: load,
            memory_used_bytes: 9 << 30,
            temperature_celsius: 60 + load / 10,
            power_watts: 240,
            foreign_processes: 0,
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
    let mut workers = busy(&server, &database).await;
    beat(&mut workers, 100).await;
    let mut browser = Browser::at(&server.address);
    assert_eq!(browser.post("/login", &[("token", &token)]).await.code, 303);
    until_async("heartbeats are stored", LIMIT, async || {
        beat(&mut workers, 101).await;
        browser.get("/").await.body.contains("9.0 GiB of 11.0 GiB").then_some(())
    })
    .await;
    let (_, most, bytes) = timed(&mut browser, "/", 200).await;
    assert!(bytes <= 100_000, "{bytes}");
    assert!(cfg!(debug_assertions) || most <= Duration::from_millis(50), "{most:?}");
    for path in ["/queue", "/queue?part=90", "/experiments", "/experiments?state=failed", "/people", "/results"] {
        timed(&mut browser, path, 40).await;
    }
    let job = workers[0].1.job_id.clone();
    let said = (0..20_000u64).map(|step| {
        let metric = v1::MetricEvent { name: format!("curve-{}", step % 10), step: step / 10, value: 1.0 };
        event(step + 1, Event::Metric(metric))
    });
    let said: Vec<v1::RankEvent> = said.collect();
    for part in said.chunks(2000) {
        let (worker, assignment) = &mut workers[0];
        let assignment = assignment.clone();
        worker.report(&assignment, part.to_vec()).await;
    }
    timed(&mut browser, &format!("/jobs/{job}"), 40).await;

    // What the rest of the program costs meanwhile is measured beside it.
    let minute = async |workers: &mut Vec<(FakeWorker, v1::Assignment)>, first: u64| {
        let (began, before) = (Instant::now(), used());
        for number in first..first + 10 {
            beat(workers, number).await;
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        (used() - before) / began.elapsed().as_secs_f64()
    };
    let without = minute(&mut workers, 200).await;
    let mut reading = Vec::new();
    let seen = browser.get("/").await;
    for _ in 0..VIEWERS {
        let mut live = browser.live(&seen).await;
        reading.push(tokio::spawn(async move {
            let _ = live.until(|_| false).await;
            live.text.len()
        }));
    }
    let with = minute(&mut workers, 300).await;
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
    let told: Vec<usize> = {
        let mut told = Vec::new();
        for one in reading {
            told.push(one.await.unwrap());
        }
        told
    };
    assert!(told.iter().all(|bytes| *bytes > 1000), "every one was told what changed: {told:?}");
}
