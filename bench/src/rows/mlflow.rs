//! The questions of a tracker against MLflow's, on the same runs in the same Postgres: MLflow's tables lie in a schema of their own.
//!
//! MLflow answers in its own process, by what its server calls: no HTTP between. Ours come by gRPC.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tandem_proto::v1::{AskRequest, results_client::ResultsClient};
use tokio::runtime::Runtime;

use super::history::{FILL_LIMIT, House};
use crate::child::{Child, Elapsed};
use crate::client::channel;
use crate::interleave::{interleave, median, speeds};
use crate::row::{Goal, Row, Unit};
use crate::settings::Settings;

/// The smaller of two histories.
const SHORT: u32 = 10_000;
/// Times that a question is asked in a block.
const ASKED: u64 = 5;

struct Question {
    name: &'static str,
    what: &'static str,
    ours: AskRequest,
    theirs: Value,
    /// Both sides have one order, so that they find the same runs in it.
    is_ordered: bool,
}

pub(crate) fn measure(settings: &Settings) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    let long = settings.jobs.max(SHORT);
    for jobs in if long > SHORT { vec![SHORT, long] } else { vec![SHORT] } {
        // As many points as MLflow keeps of a run in a row each without growing beyond the machine.
        let house = House::start(&Settings { points: 11, ..settings.clone() }, jobs)?;
        rows.extend(compare(settings, &house, jobs)?);
    }
    Ok(rows)
}

fn compare(settings: &Settings, house: &House, jobs: u32) -> Result<Vec<Row>> {
    let database = house.coordinator.database.with_limit(FILL_LIMIT);
    database.execute("CREATE SCHEMA mlflow")?;
    let url = house.coordinator.database_url();
    let (_, rest) = url.split_once("://").context("a URL has a scheme")?;
    let separator = if rest.contains('?') { '&' } else { '?' };
    let url = format!("postgresql+psycopg2://{rest}{separator}options=-csearch_path%3Dmlflow");
    let mut peer = Child::usual_peer(&settings.mlflow_python, "mlflow_search", 1)?;
    let version: Value = peer.ask(&json!({ "url": url, "artifacts": house.coordinator.folder() }))?;
    database.execute(include_str!("../../fill-mlflow.sql"))?;
    database.execute("VACUUM ANALYZE")?;
    let runs: i64 = database.value("SELECT count(*) FROM mlflow.runs")?;
    ensure!(runs == i64::from(jobs), "MLflow has {runs} runs of {jobs}");

    let runtime = Runtime::new()?;
    let client = runtime.block_on(async { anyhow::Ok(ResultsClient::new(channel(&house.coordinator).await?)) })?;
    let experiment: (String, i32) = (database.rows(
        "SELECT e.name, 100 + place::integer FROM (SELECT name, row_number() OVER (ORDER BY created_at DESC, id) AS place FROM experiments) e
         WHERE place = 50",
    )?)
    .pop()
    .context("there is no experiment")?;
    let since: i64 = database.value("SELECT (extract(epoch FROM now() - interval '400 days') * 1000)::bigint")?;
    let mut rows = Vec::new();
    for question in questions(&experiment, since) {
        let ask = |count: u64| -> Result<(f64, Vec<String>)> {
            let began = Instant::now();
            let mut found = Vec::new();
            for _ in 0..count {
                let answer = runtime.block_on(client.clone().ask(question.ours.clone()))?.into_inner();
                found = answer.rows.into_iter().map(|row| row.job_id.replace('-', "")).collect();
            }
            Ok((began.elapsed().as_secs_f64(), found))
        };
        let mut search = |count: u64| -> Result<(f64, Vec<String>)> {
            let mut request = question.theirs.clone();
            request["count"] = count.into();
            let Elapsed { seconds, result } = peer.ask(&request)?;
            Ok((seconds, serde_json::from_value(result)?))
        };
        // The first of each finds nothing in memory.
        let ((_, mut ours), (_, mut theirs)) = (ask(1)?, search(1)?);
        if !question.is_ordered {
            ours.sort();
            theirs.sort();
        }
        let same = if question.is_ordered { ours == theirs } else { ours.len() == theirs.len() };
        let pairs = interleave(settings.pairs, || Ok(ask(ASKED)?.0), || Ok(search(ASKED)?.0))?;
        let milliseconds = |side: fn(&crate::interleave::Pair) -> f64| 1e3 * median(&pairs, side) / ASKED as f64;
        rows.push(Row {
            name: format!("mlflow/{}/{jobs}", question.name),
            what: format!(
                "{} of {jobs} runs against MLflow {}",
                question.what,
                version["version"].as_str().unwrap_or("?")
            ),
            goal: Goal::AtLeast(5.0),
            unit: Unit::Times,
            value: speeds(&pairs)?,
            void: (!same || ours.is_empty())
                .then(|| format!("{} and {} runs were found, or not the same", ours.len(), theirs.len())),
            note: format!("{:.1} against {:.1} ms", milliseconds(|pair| pair.ours), milliseconds(|pair| pair.theirs)),
            raw: json!({ "times_a_block": ASKED, "pairs": pairs }),
        });
    }
    Ok(rows)
}

fn questions((experiment, id): &(String, i32), since: i64) -> Vec<Question> {
    let ours = |condition: &str, order: &str, limit: u32| AskRequest {
        r#where: condition.to_owned(),
        order: order.to_owned(),
        limit,
        ..AskRequest::default()
    };
    let theirs = |filter: &str, order: &str, most: u32| json!({ "experiments": null, "filter": filter, "order": [order], "most": most });
    let filter = format!(
        "params.stage = 'linear' and params.label_fraction = '0.01' and params.encoder = 'resnet50' and attributes.start_time > {since}"
    );
    vec![
        Question {
            name: "newest",
            what: "the newest 50",
            ours: ours("", "", 50),
            theirs: theirs("", "attributes.start_time DESC", 50),
            is_ordered: false,
        },
        Question {
            name: "best",
            what: "the best 50 by accuracy",
            ours: ours("", "accuracy", 50),
            theirs: theirs("", "metrics.accuracy DESC", 50),
            is_ordered: true,
        },
        Question {
            name: "filter",
            what: "the best 20 linear probes of a ResNet-50 at 1 % since a day",
            ours: ours(
                "stage = 'linear' and label_fraction = 0.01 and encoder = 'resnet50' and age < '400d'",
                "accuracy",
                20,
            ),
            theirs: theirs(&filter, "metrics.accuracy DESC", 20),
            is_ordered: true,
        },
        Question {
            name: "failed",
            what: "the newest 50 that failed",
            ours: ours("state = 'failed'", "", 50),
            theirs: theirs("attributes.status = 'FAILED'", "attributes.start_time DESC", 50),
            is_ordered: false,
        },
        Question {
            name: "experiment",
            what: "one experiment",
            ours: ours(&format!("experiment = '{experiment}'"), "", 50),
            theirs: json!({ "experiments": [id.to_string()], "filter": "", "order": ["attributes.start_time DESC"], "most": 50 }),
            is_ordered: false,
        },
    ]
}
