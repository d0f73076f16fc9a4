//! `tandem import`: what `tandem-worker local` has computed, into the house.

mod read;
mod send;

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use tandem_proto::{FILE_BYTES_MAX, v1::ImportResponse};

use super::submit::read_text;
use crate::{client::Client, exit::Exit, output::Output, printable::line, render::units};
use read::read;

/// Bring in what `tandem-worker local` has computed
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  tandem-worker local table1.toml --out table1 --data images
  tandem import table1 table1.toml

All jobs of the file must have finished. They are shared with nobody, and
their receipts say where they come from; `tandem reproduce` runs one here.
The same results come in once, however often this is called.")]
pub(crate) struct Import {
    /// The folder that `tandem-worker local` wrote to
    #[arg(value_name = "OUT")]
    out: PathBuf,
    /// The experiment file that it ran
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

impl Import {
    pub(crate) async fn run(self, client: &Client, output: &Output) -> Result<Exit> {
        let toml = read_text(&self.file, "an experiment", FILE_BYTES_MAX)?;
        let (out, name) = (self.out.clone(), self.file.display().to_string());
        let parcel = tokio::task::spawn_blocking(move || read(&out, toml, name)).await??;
        let points: u64 = parcel.points();
        parcel.notes.iter().for_each(|note| output.note(&line(note)));
        let answer = tokio::select! {
            answer = send::send(client, parcel) => answer?,
            _ = tokio::signal::ctrl_c() => {
                output.note("interrupted; if all had been sent it is there: the same command tells, or sends it again");
                return Ok(Exit::Interrupted);
            }
        };
        report(&answer, points, output)
    }
}

fn report(answer: &ImportResponse, points: u64, output: &Output) -> Result<Exit> {
    if output.is_json() {
        output.document(answer)?;
        return Ok(Exit::Ok);
    }
    let ImportResponse { experiment_id, experiment, jobs, present } = answer;
    let experiment = line(experiment);
    let is = if *present { "was brought in before" } else { "is in the house" };
    let points = if *present { String::new() } else { format!(", {} points of curves", units::count(points)) };
    let count = units::count(jobs.len() as u64);
    let s = if jobs.len() == 1 { "" } else { "s" };
    output.text(&format!(
        "experiment {experiment} {is}: {count} job{s}{points}, id {experiment_id}\nnext: tandem results {experiment}"
    ))?;
    Ok(Exit::Ok)
}
