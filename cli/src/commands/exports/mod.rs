//! `tandem export`: jobs for other trackers.

mod mlflow;
mod tensorboard;

use anyhow::Result;
use clap::{Args, Subcommand};
use tandem_proto::v1::{Job, Series};

use super::{metrics::source::Source, of_jobs::jobs_of};
use crate::{
    client::Client,
    exit::{Exit, Failure},
    output::Output,
};

/// Jobs that are exported at a time.
const MOST_JOBS: usize = 10_000;

/// Write jobs with their curves for TensorBoard, or into MLflow
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tandem export tensorboard quickstart --out runs
  tensorboard --logdir runs
  tandem export mlflow quickstart --to http://localhost:5000

Parquet, CSV and JSON: tandem results --out FILE, tandem metrics --out FILE.")]
pub(crate) struct Export {
    #[command(subcommand)]
    command: ExportCommand,
}

#[derive(Debug, Subcommand)]
enum ExportCommand {
    Tensorboard(tensorboard::Tensorboard),
    Mlflow(mlflow::Mlflow),
}

impl Export {
    pub(crate) async fn run(self, client: &Client, output: &Output) -> Result<Exit> {
        match self.command {
            ExportCommand::Tensorboard(tensorboard) => tensorboard.run(client, output).await,
            ExportCommand::Mlflow(mlflow) => mlflow.run(client, output).await,
        }
    }
}

/// The jobs that are meant, at least one.
async fn jobs(client: &Client, target: &str, output: &Output) -> Result<Vec<Job>> {
    let (jobs, is_cut) = jobs_of(client, target, MOST_JOBS).await?;
    if jobs.is_empty() {
        return Err(Failure::error(Exit::NotFound, format!("`{target}` has no jobs")));
    }
    if is_cut {
        output.note(&format!("`{target}` has more than {MOST_JOBS} jobs; these are the first"));
    }
    Ok(jobs)
}

/// All points of a job's curves.
async fn curves(client: &Client, job: &Job) -> Result<Vec<Series>> {
    let source = Source { client, target: &job.id };
    let mut whole = Vec::new();
    for curve in source.overview(&[]).await? {
        let mut points = Series { steps: Vec::new(), values: Vec::new(), ..curve.clone() };
        let mut from = Some(0);
        while let Some(step) = from {
            let part = source.stretch(&curve, step).await?;
            for series in part.series {
                points.steps.extend(series.steps);
                points.values.extend(series.values);
            }
            from = part.next;
        }
        whole.push(points);
    }
    Ok(whole)
}
