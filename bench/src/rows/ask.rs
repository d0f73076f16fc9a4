//! Questions about a long history: every kind of filter with the best or the newest 50, a page of a long history against one of a short,
//! a long curve, and many runs as a table. The plan of each question is kept beside the figures.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::json;
use tandem_harness::{command, until};
use tandem_proto::v1::{AskRequest, MetricsRequest, results_client::ResultsClient};
use tokio::runtime::Runtime;
use tonic::transport::Channel;

use super::history::House;
use crate::client::channel;
use crate::interleave::{costs, interleave, median};
use crate::row::{Goal, Row, Unit};
use crate::settings::{Settings, source_folder};
use crate::stats::Summary;

/// The history that the long one is compared with.
const SHORT: u32 = 10_000;
/// Times that each question is asked.
const ASKED: usize = 20;
const SHOWN: u32 = 50;
/// Points of the long curve, and what is asked of it.
const POINTS: u32 = 100_000;
const THINNED: u32 = 1000;
/// Runs of the table.
const RUNS: u32 = 30_000;

/// Conditions, and what is sorted by: the newest first where that is empty.
const QUESTIONS: &[(&str, &str)] = &[
    ("", ""),
    ("", "accuracy"),
    ("", "knn_accuracy"),
    ("", "loss"),
    ("stage = 'linear' and label_fraction = 0.01", "accuracy"),
    ("encoder = 'resnet50' and label_fraction = 0.01 and age < '400d'", "accuracy"),
    ("encoder = 'resnet-paper'", "accuracy"),
    ("owner = 'person-3'", "accuracy"),
    ("owner = 'person-3' and age < '30d'", ""),
    ("owner = 'nobody'", ""),
    ("experiment = 'table1-5'", "accuracy"),
    ("experiment like 'table1-7%'", "accuracy"),
    ("experiment like '%1-77'", "accuracy"),
    ("lr = 0.3 and temperature = 0.1", "accuracy"),
    ("lambda > 100", "accuracy"),
    ("seed = 77", "accuracy"),
    ("weight_decay = 5 or norm = 'linf' or optimizer = 'adam'", "accuracy"),
    ("state = 'failed'", ""),
    ("state = 'running'", "accuracy"),
    ("finished > '7d'", "accuracy"),
    ("accuracy between 0.5 and 0.50001", ""),
    ("device_seconds > '50m' and stage = 'supervised'", "device_seconds"),
    ("loss < 0.2001", "accuracy"),
    ("loss > 0.3", "accuracy"),
    ("optimizer.warmup_epochs = 33", "accuracy"),
    ("contrastive.optimizer.lr = 0.3", "accuracy"),
    ("optimizer.warmup_epochs > 9", "accuracy"),
    ("tag = 'camera-ready'", "accuracy"),
    ("tag = 'good'", ""),
    ("tag <> 'good' and stage = 'linear'", "accuracy"),
    ("tag is not null", ""),
];

pub(crate) fn measure(settings: &Settings) -> Result<Vec<Row>> {
    let runtime = Runtime::new()?;
    let (long, short) = (House::start(settings, settings.jobs)?, House::start(settings, SHORT.min(settings.jobs))?);
    let mut far = runtime.block_on(async { anyhow::Ok(ResultsClient::new(channel(&long.coordinator).await?)) })?;
    let mut near = runtime.block_on(async { anyhow::Ok(ResultsClient::new(channel(&short.coordinator).await?)) })?;
    let mut rows = vec![questions(&runtime, &mut far, settings.jobs)?];

    let page = |client: &mut ResultsClient<Channel>, order: &str| -> Result<f64> {
        let began = Instant::now();
        for _ in 0..ASKED {
            runtime.block_on(client.ask(question("", order)))?;
        }
        Ok(began.elapsed().as_secs_f64())
    };
    for order in ["", "accuracy"] {
        page(&mut far, order)?;
        page(&mut near, order)?;
        let pairs = interleave(settings.pairs, || page(&mut far, order), || page(&mut near, order))?;
        let of = |side: fn(&crate::interleave::Pair) -> f64| 1e3 * median(&pairs, side) / ASKED as f64;
        let name = if order.is_empty() { "newest" } else { "best" };
        rows.push(Row {
            name: format!("ask/page/{name}"),
            what: format!("the first page of {} jobs against one of {SHORT}", settings.jobs),
            goal: Goal::AtMost(1.5),
            unit: Unit::Times,
            value: costs(&pairs)?,
            void: None,
            note: format!("{:.1} against {:.1} ms", of(|pair| pair.ours), of(|pair| pair.theirs)),
            raw: json!(pairs),
        });
    }
    rows.extend(curve(&runtime, &long, &mut far)?);
    rows.push(table(settings, &long)?);
    let plans = plans(&runtime, &long)?;
    eprintln!("plans: {plans}");
    Ok(rows)
}

fn question(condition: &str, order: &str) -> AskRequest {
    let (r#where, order) = (condition.to_owned(), order.to_owned());
    AskRequest { r#where, order, limit: SHOWN, ..AskRequest::default() }
}

/// The slowest question's time that 19 of 20 of its answers keep.
fn questions(runtime: &Runtime, client: &mut ResultsClient<Channel>, jobs: u32) -> Result<Row> {
    let mut all = Vec::new();
    for (condition, order) in QUESTIONS {
        let mut took = Vec::new();
        // The first finds nothing in memory.
        for _ in 0..=ASKED {
            let began = Instant::now();
            runtime.block_on(client.ask(question(condition, order))).with_context(|| format!("asking {condition}"))?;
            took.push(1e3 * began.elapsed().as_secs_f64());
        }
        let first = took.remove(0);
        took.sort_by(f64::total_cmp);
        let (median, p95) = (took[ASKED / 2], took[ASKED * 19 / 20 - 1]);
        all.push((
            p95,
            json!({ "where": condition, "order": order, "first_ms": first, "median_ms": median, "p95_ms": p95 }),
        ));
    }
    all.sort_by(|a, b| b.0.total_cmp(&a.0));
    let over = all.iter().filter(|(p95, _)| *p95 > 100.0).count();
    let slowest: Vec<String> = (all.iter().take(3))
        .map(|(p95, one)| {
            format!("{p95:.0} ms: {} by {}", one["where"].as_str().unwrap_or(""), one["order"].as_str().unwrap_or(""))
        })
        .collect();
    Ok(Row {
        name: "ask/filters".into(),
        what: format!(
            "{} kinds of questions to {jobs} jobs, the best or newest {SHOWN}: p95 of the slowest",
            QUESTIONS.len()
        ),
        goal: Goal::AtMost(100.0),
        unit: Unit::Milliseconds,
        value: Summary::of(&[all[0].0]).context("nothing was asked")?,
        void: None,
        note: format!("{over} over 100 ms; {}", slowest.join("; ")),
        raw: all.into_iter().map(|(_, one)| one).collect(),
    })
}

/// A long curve, thinned and whole.
fn curve(runtime: &Runtime, house: &House, client: &mut ResultsClient<Channel>) -> Result<Vec<Row>> {
    let database = &house.coordinator.database;
    let job: String = database.value("SELECT id::text FROM jobs WHERE stage = 'contrastive' ORDER BY id LIMIT 1")?;
    database.execute(&format!(
        "INSERT INTO metric_chunks (job_id, name, first_step, last_step, points, stride, values, fence, first_at, last_at)
         SELECT '{job}', 'long', first + 1, first + 1000, 1000, 1,
                ARRAY(SELECT sin(step) FROM generate_series(first + 1, first + 1000) AS step), 1, now(), now()
         FROM generate_series(0, {POINTS} - 1000, 1000) AS first;
         INSERT INTO curves VALUES ('{job}', 'long', {POINTS}, 1, {POINTS}, 0, -1, 1); ANALYZE metric_chunks"
    ))?;
    let mut rows = Vec::new();
    for (name, points, most, bound) in [("thinned", THINNED, 0, 50.0), ("whole", 0, POINTS, 150.0)] {
        let request = MetricsRequest {
            target: job.clone(),
            names: vec!["long".to_owned()],
            points,
            extremes: points > 0,
            most,
            from_step: 0,
        };
        let mut took = Vec::new();
        for _ in 0..=ASKED {
            let began = Instant::now();
            let answer = runtime.block_on(client.metrics(request.clone()))?.into_inner();
            took.push(1e3 * began.elapsed().as_secs_f64());
            ensure!(answer.series.iter().map(|one| one.steps.len()).sum::<usize>() > 900, "{name}: the curve is short");
        }
        took.remove(0);
        rows.push(Row {
            name: format!("ask/curve/{name}"),
            what: format!("a curve of {POINTS} points, {name}{}", if points > 0 { " to 1000" } else { "" }),
            goal: Goal::AtMost(bound),
            unit: Unit::Milliseconds,
            value: Summary::of(&took).context("nothing was asked")?,
            void: None,
            note: String::new(),
            raw: json!(took),
        });
    }
    Ok(rows)
}

/// Many runs as Parquet, by the command line.
fn table(settings: &Settings, house: &House) -> Result<Row> {
    let file = house.coordinator.folder().join("runs.parquet");
    let (server, runs) = (house.coordinator.server(), RUNS.min(settings.jobs).to_string());
    let mut took = Vec::new();
    for _ in 0..=settings.pairs {
        let _ = fs::remove_file(&file);
        let mut tandem = command(&settings.bin_dir.join("tandem"));
        tandem.args(["--server", &server, "results", "--limit", &runs, "--out"]).arg(&file);
        let began = Instant::now();
        let output = tandem.output().context("tandem does not run")?;
        took.push(began.elapsed().as_secs_f64());
        ensure!(output.status.success(), "tandem results: {}", String::from_utf8_lossy(&output.stderr));
    }
    took.remove(0);
    let bytes = fs::metadata(&file)?.len();
    Ok(Row {
        name: "ask/parquet".into(),
        what: format!("`tandem results --limit {runs} --out runs.parquet`"),
        goal: Goal::AtMost(1.0),
        unit: Unit::Seconds,
        value: Summary::of(&took).context("nothing was asked")?,
        void: None,
        note: format!("{:.1} MB", bytes as f64 / 1e6),
        raw: json!(took),
    })
}

/// Has Postgres note the plan of each question; where they are.
fn plans(runtime: &Runtime, house: &House) -> Result<String> {
    let database = &house.coordinator.database;
    let name: String = database.value("SELECT quote_ident(current_database())")?;
    for (key, value) in [
        ("session_preload_libraries", "auto_explain"),
        ("auto_explain.log_min_duration", "0"),
        ("auto_explain.log_analyze", "on"),
        ("auto_explain.log_buffers", "on"),
    ] {
        database.execute(&format!("ALTER DATABASE {name} SET {key} = '{value}'"))?;
    }
    let log = house.coordinator.folder().join("postgres/postgres.log");
    let before = fs::read(&log)?.len();
    // What is connected has not read these.
    database.execute(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'tandem-server'",
    )?;
    let asked = || -> Option<()> {
        runtime.block_on(async {
            let mut client = ResultsClient::new(channel(&house.coordinator).await.ok()?);
            for (condition, order) in QUESTIONS {
                client.ask(question(condition, order)).await.ok()?;
            }
            Some(())
        })
    };
    until("the questions are asked once more", Duration::from_secs(120), asked);
    let text = fs::read(&log)?;
    let text = String::from_utf8_lossy(text.get(before..).unwrap_or_default()).into_owned();
    let folder = source_folder().join("out");
    fs::create_dir_all(&folder)?;
    let file = folder.join("ask-plans.txt");
    fs::write(&file, text)?;
    Ok(file.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_are_of_known_words() {
        let known = tandem_domain::ask::Known { results: &["loss".to_owned()], curves: &[] };
        for (condition, _) in QUESTIONS.iter().filter(|(condition, _)| !condition.is_empty()) {
            let read = tandem_domain::ask::condition(condition, known, chrono::Utc::now());
            assert!(read.is_ok(), "{condition}: {:?}", read.err().map(|fault| fault.to_string()));
        }
    }
}
