//! `tandem export`: jobs for other trackers.

mod jobs;
mod mlflow;
mod tensorboard;

use anyhow::Result;
use clap::{Args, Subcommand};

use crate::{client::Client, exit::Exit, output::Output};

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
