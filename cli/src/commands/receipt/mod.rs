//! `tandem receipt`: what produced a result, signed.

mod check;
mod key;

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, Subcommand};
use clap_complete::engine::ArgValueCompleter;
use tandem_proto::v1::ReceiptRequest;

use crate::{
    client::Client,
    complete,
    exit::{Exit, Failure},
    files,
    output::Output,
    render::receipt,
    signed::opened,
};
use check::Check;
use key::Key;

/// What produced a result, signed by the house: spec, data, program, device, attempts, checksums
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    after_help = "\
Examples:
  tandem receipt quickstart/encoder              in words
  tandem receipt 0199a1b2 --out receipt.json     for somebody else
  tandem receipt check weights/encoder/receipt.json
                                                 needs no coordinator
  tandem receipt key --out house.pub

The file is a DSSE envelope with a statement of in-toto, signed by ECDSA on
P-256. `tandem fetch` puts it beside the files of each job.
Exit code 74: a row was altered in the database since it was signed."
)]
pub(crate) struct Receipt {
    #[command(subcommand)]
    command: Option<ReceiptCommand>,
    /// Job: an id, its first characters, EXPERIMENT/JOB, or an experiment of one job
    #[arg(required = true, add = ArgValueCompleter::new(complete::targets))]
    job: Option<String>,
    /// Write it to this file
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Replace a file that is there
    #[arg(long, requires = "out")]
    force: bool,
}

#[derive(Debug, Subcommand)]
enum ReceiptCommand {
    Check(Check),
    Key(Key),
}

impl Receipt {
    /// Whether a file is in order needs no coordinator.
    pub(crate) async fn run(self, connect: impl AsyncFnOnce() -> Result<Client>, output: &Output) -> Result<Exit> {
        match self.command {
            Some(ReceiptCommand::Check(check)) => check.run(output),
            Some(ReceiptCommand::Key(key)) => key.run(&connect().await?, output).await,
            None => {
                let job = self.job.unwrap_or_default();
                show(&connect().await?, output, &job, self.out, self.force).await
            }
        }
    }
}

async fn show(client: &Client, output: &Output, job: &str, out: Option<PathBuf>, force: bool) -> Result<Exit> {
    if let Some(out) = &out {
        files::check_free(out, force)?;
    }
    let request = ReceiptRequest { target: job.to_owned(), files: Vec::new() };
    let tried = format!("show the receipt of `{job}`");
    let answer = client.ask(&tried, async |on| on.results().receipt(request.clone()).await).await?;
    let (statement, key) = opened(&answer)?;
    match &out {
        Some(out) => {
            files::write(out, answer.envelope.as_bytes(), force)?;
            output.note(&format!("wrote {}", out.display()));
        }
        None if output.is_json() => {
            let envelope = serde_json::from_str::<serde_json::Value>(&answer.envelope)?;
            output.document(&envelope)?;
        }
        None => output.text(&receipt::page(&statement.predicate, &key.id(), output.style()))?,
    }
    if answer.differences.is_empty() {
        return Ok(Exit::Ok);
    }
    let shown = receipt::differences(&answer.differences);
    Err(Failure::error(
        Exit::Damaged,
        format!(
            "the database does not show what was signed when the job had succeeded: somebody has altered it since\n{shown}"
        ),
    ))
}
