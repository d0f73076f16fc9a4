//! `tandem export mlflow`: a run for each job, by MLflow's REST.

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, Result};
use clap::Args;
use clap_complete::engine::ArgValueCompleter;
use serde_json::{Value, json};
use tandem_proto::v1::{Job, Series};
use ureq::{Agent, Body, http::Response};

use super::jobs::{curves, jobs};
use crate::{
    client::Client,
    complete,
    exit::{Exit, Failure},
    exports::run::{self, JOB_TAG},
    output::Output,
};

/// Of one call; a thousand points are stored in it.
const CALL_LIMIT: Duration = Duration::from_secs(60);
/// Of what is quoted of a refusal.
const WORDS_MAX: usize = 300;

/// Write each job into MLflow as a run: parameters, curves, final figures, who, and how it ended
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tandem export mlflow table1 --to http://localhost:5000
  MLFLOW_TRACKING_TOKEN=.. tandem export mlflow table1 --to https://mlflow.lab

A job that is there already, by the tag tandem.job_id, is left as it is. Numbers
that are not finite are left out and counted. The house keeps steps and not
times: those of points are spread evenly from a job's start to its end.")]
pub(super) struct Mlflow {
    /// Job or experiment: an id, its first characters, or an experiment's name
    #[arg(add = ArgValueCompleter::new(complete::targets))]
    target: String,
    /// MLflow's tracking server
    #[arg(long, value_name = "URL", env = "MLFLOW_TRACKING_URI")]
    to: String,
    /// MLflow's experiment [default: that of the jobs]
    #[arg(long, value_name = "NAME")]
    experiment: Option<String>,
    /// Write jobs that are there already as further runs
    #[arg(long)]
    force: bool,
}

/// What became of a job.
enum Written {
    Run { id: String, left_out: usize },
    IsThere,
}

impl Mlflow {
    pub(super) async fn run(self, client: &Client, output: &Output) -> Result<Exit> {
        if !["http://", "https://"].iter().any(|scheme| self.to.starts_with(scheme)) {
            let message = format!("--to `{}`: expected a tracking server, as http://localhost:5000", self.to);
            return Err(Failure::error(Exit::Usage, message));
        }
        let tracker = Arc::new(Tracker::at(&self.to));
        let (mut runs, mut there, mut left_out) = (Vec::new(), 0, 0);
        for job in jobs(client, &self.target, output).await? {
            let curves = curves(client, &job).await?;
            let name = self.experiment.clone().unwrap_or_else(|| job.experiment_name.clone());
            let (tracker, force) = (tracker.clone(), self.force);
            // Its client waits in place.
            let write = tokio::task::spawn_blocking(move || {
                let written = tracker.write(&name, &job, &curves, force);
                written.map(|written| (job, written))
            });
            let (job, written) = write.await.context("writing a run")??;
            match written {
                Written::Run { id, left_out: more } => {
                    left_out += more;
                    runs.push(json!({ "job": job.id, "name": job.name, "run_id": id }));
                }
                Written::IsThere => there += 1,
            }
        }
        if output.is_json() {
            output.document(&json!({ "runs": runs, "there_already": there, "not_finite": left_out }))?;
        } else {
            output.text(&format!("{} runs are written to {}", runs.len(), self.to))?;
        }
        if there > 0 {
            output.note(&format!("{there} jobs were there already; --force writes them as further runs"));
        }
        if left_out > 0 {
            output.note(&format!("{left_out} points are no finite numbers and were left out"));
        }
        Ok(Exit::Ok)
    }
}

struct Tracker {
    agent: Agent,
    base: String,
    token: Option<String>,
}

impl Tracker {
    fn at(url: &str) -> Self {
        let config = Agent::config_builder().timeout_global(Some(CALL_LIMIT)).http_status_as_error(false).build();
        let token = std::env::var("MLFLOW_TRACKING_TOKEN").ok().filter(|token| !token.is_empty());
        Self { agent: config.into(), base: format!("{}/api/2.0/mlflow", url.trim_end_matches('/')), token }
    }

    fn write(&self, experiment: &str, job: &Job, curves: &[Series], force: bool) -> Result<Written> {
        let experiment = self.experiment(experiment)?;
        if !force && self.has(&experiment, &job.id)? {
            return Ok(Written::IsThere);
        }
        let created = self.post("runs/create", &run::create(job, &experiment))?;
        let id = created["run"]["info"]["run_id"].as_str().context("MLflow named no run")?.to_owned();
        for params in run::params(job) {
            self.post("runs/log-batch", &json!({ "run_id": id, "params": params }))?;
        }
        let (parts, left_out) = run::metrics(job, curves);
        for metrics in parts {
            self.post("runs/log-batch", &json!({ "run_id": id, "metrics": metrics }))?;
        }
        self.post("runs/update", &run::end(job, &id))?;
        Ok(Written::Run { id, left_out })
    }

    /// Its id; it is made if it is not there.
    fn experiment(&self, name: &str) -> Result<String> {
        let url = format!("{}/experiments/get-by-name", self.base);
        let answer = self.with_token(self.agent.get(&url).query("experiment_name", name)).call();
        let answer = answer.map_err(|error| self.unreachable(&error))?;
        let id = |answer: &Value| answer["experiment"]["experiment_id"].as_str().map(str::to_owned);
        if answer.status().as_u16() == 404 {
            let made = self.post("experiments/create", &json!({ "name": name }))?;
            return made["experiment_id"].as_str().map(str::to_owned).context("MLflow named no experiment");
        }
        id(&self.read("experiments/get-by-name", answer)?).context("MLflow named no experiment")
    }

    fn has(&self, experiment: &str, job: &str) -> Result<bool> {
        let filter = format!("tags.`{JOB_TAG}` = '{job}'");
        let question = json!({ "experiment_ids": [experiment], "filter": filter, "max_results": 1 });
        let found = self.post("runs/search", &question)?;
        Ok(found["runs"][0]["info"]["run_id"].is_string())
    }

    fn post(&self, path: &str, body: &Value) -> Result<Value> {
        let answer = self.with_token(self.agent.post(format!("{}/{path}", self.base))).send_json(body);
        self.read(path, answer.map_err(|error| self.unreachable(&error))?)
    }

    fn with_token<T>(&self, request: ureq::RequestBuilder<T>) -> ureq::RequestBuilder<T> {
        match &self.token {
            Some(token) => request.header("Authorization", format!("Bearer {token}")),
            None => request,
        }
    }

    fn read(&self, path: &str, mut answer: Response<Body>) -> Result<Value> {
        let status = answer.status();
        let text = answer.body_mut().read_to_string().map_err(|error| self.unreachable(&error))?;
        let json: Option<Value> = serde_json::from_str(&text).ok();
        match json {
            Some(json) if status.is_success() => Ok(json),
            Some(json) if json["message"].is_string() => {
                let words = json["message"].as_str().unwrap_or_default();
                Err(refused(path, status.as_u16(), words))
            }
            _ => Err(refused(path, status.as_u16(), &text)),
        }
    }

    fn unreachable(&self, error: &ureq::Error) -> anyhow::Error {
        Failure::error(Exit::Unreachable, format!("MLflow does not answer at {}: {error}", self.base))
    }
}

fn refused(path: &str, status: u16, words: &str) -> anyhow::Error {
    let words: String = words.chars().take(WORDS_MAX).collect();
    let exit = if matches!(status, 401 | 403) { Exit::NotAllowed } else { Exit::System };
    Failure::error(exit, format!("MLflow refused {path} ({status}): {}", words.trim()))
}
