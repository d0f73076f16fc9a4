//! `tandem results`: what was measured, as a table and as curves.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;
use tandem_proto::v1::{Job, MetricsRequest, QueryRequest, Series};

use crate::{
    client::Client,
    exit::{Exit, Failure},
    files, json,
    output::Output,
    render::{plot, results},
    time,
};

/// More curves than this cannot be told apart.
const MOST_CURVES: usize = 7;

/// Show results of finished jobs, the best of them, or their curves
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tandem results
  tandem results --best linear_accuracy --limit 5
  tandem results quickstart --plot loss.svg
  tandem results quickstart --plot knn.svg --metric knn_accuracy")]
pub(crate) struct Results {
    /// Job or experiment: an id, its first characters, or an experiment's name; all if left out
    #[arg(default_value = "", hide_default_value = true)]
    target: String,
    /// Sort by this result, largest first
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    best: String,
    /// With --best: smallest first
    #[arg(long, requires = "best")]
    ascending: bool,
    /// Only jobs of this stage
    #[arg(long, default_value = "", hide_default_value = true)]
    stage: String,
    /// At most this many jobs
    #[arg(long, default_value_t = 20, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// Draw the curves of the listed jobs into an SVG file
    #[arg(long, value_name = "FILE.svg")]
    plot: Option<PathBuf>,
    /// What to draw; one panel each
    #[arg(long, requires = "plot", value_delimiter = ',', value_name = "NAME", default_value = "loss,knn_accuracy")]
    metric: Vec<String>,
    /// Replace the file if it is there
    #[arg(long, requires = "plot")]
    force: bool,
}

impl Results {
    pub(crate) async fn run(self, client: &Client, output: &Output) -> Result<Exit> {
        if let Some(path) = &self.plot {
            files::check_free(path, self.force)?;
        }
        let request = QueryRequest {
            target: self.target.clone(),
            stage: self.stage.clone(),
            best: self.best.clone(),
            ascending: self.ascending,
            limit: self.limit,
        };
        let answer = client.results().query(request).await;
        let jobs = answer.map_err(|status| client.refusal("ask for results", &status))?.into_inner().jobs;
        if let Some(path) = &self.plot {
            self.draw(client, &jobs, path, output).await?;
        }
        if output.is_json() {
            let plot = self.plot.as_ref().map(|path| path.display().to_string());
            output.document(&json::Results { jobs: jobs.iter().map(json::Job::from).collect(), plot })?;
        } else if jobs.is_empty() {
            output.note("no results yet");
        } else {
            let extra = Some(self.best.as_str()).filter(|name| !name.is_empty());
            output.text(&results::table(&jobs, extra, output.style(), time::now()))?;
        }
        Ok(Exit::Ok)
    }

    async fn draw(&self, client: &Client, jobs: &[Job], path: &Path, output: &Output) -> Result<()> {
        let mut curves: Vec<Series> = Vec::new();
        let mut drawn = 0;
        for job in jobs {
            let request = MetricsRequest { target: job.id.clone(), names: self.metric.clone() };
            let answer = client.results().metrics(request).await;
            let answer = answer.map_err(|status| client.refusal("ask for the curves", &status))?;
            let series = answer.into_inner().series;
            if series.iter().all(|series| series.values.is_empty()) {
                continue;
            }
            drawn += 1;
            if drawn > MOST_CURVES {
                output.note(&format!(
                    "only the first {MOST_CURVES} jobs are drawn; name a job or lower --limit for others"
                ));
                break;
            }
            curves.extend(series.into_iter().map(|series| Series { job_name: label(job, jobs), ..series }));
        }
        if curves.is_empty() {
            let metrics = self.metric.join(", ");
            return Err(Failure::error(
                Exit::NotFound,
                format!("nothing to draw: none of the listed jobs has values of {metrics}"),
            ));
        }
        files::write(path, plot::svg(&title(jobs), &self.metric, &curves)?.as_bytes(), self.force)?;
        output.note(&format!("curves are in {}", path.display()));
        Ok(())
    }
}

/// The job's name, with its experiment's where several are drawn.
fn label(job: &Job, all: &[Job]) -> String {
    if all.iter().all(|other| other.experiment_name == job.experiment_name) {
        job.name.clone()
    } else {
        format!("{} / {}", job.experiment_name, job.name)
    }
}

fn title(jobs: &[Job]) -> String {
    match jobs {
        [first, rest @ ..] if rest.iter().all(|job| job.experiment_name == first.experiment_name) => {
            first.experiment_name.clone()
        }
        _ => "tandem".to_owned(),
    }
}
