//! `tandem logs`: what the ranks wrote.

use anyhow::Result;
use clap::Args;
use tandem_proto::v1::{LogLine, LogsRequest};

use crate::{client::Client, exit::Exit, output::Output, render::units, time::utc};

/// Print what the ranks of a job or experiment wrote
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tandem logs quickstart --tail 50
  tandem logs 0199a1b2 -f")]
pub(crate) struct Logs {
    /// Job or experiment: an id, its first characters, or an experiment's name
    target: String,
    /// Go on printing until the jobs have ended
    #[arg(short, long)]
    follow: bool,
    /// Only the last lines; 0 is all
    #[arg(long, default_value_t = 0, value_name = "N")]
    tail: u32,
}

impl Logs {
    pub(crate) async fn run(self, client: &Client, output: &Output) -> Result<Exit> {
        let request = LogsRequest { target: self.target.clone(), follow: self.follow, tail: self.tail };
        let refusal = |status| client.refusal(&format!("print the logs of `{}`", self.target), &status);
        let mut lines = client.jobs().logs(request).await.map_err(refusal)?.into_inner();
        let interrupt = tokio::signal::ctrl_c();
        tokio::pin!(interrupt);
        loop {
            let line = tokio::select! {
                line = lines.message() => line.map_err(refusal)?,
                _ = &mut interrupt => return Ok(Exit::Interrupted),
            };
            match line {
                None => return Ok(Exit::Ok),
                Some(line) if output.is_json() => output.document(&line)?,
                Some(line) => output.text(&text(&line))?,
            }
        }
    }
}

/// `2026-11-23 14:20:05 encoder 1.0 | step 120`: attempt 1, rank 0.
fn text(line: &LogLine) -> String {
    let at = utc(&line.at).map(units::moment).unwrap_or_default();
    format!("{at} {} {}.{} | {}", line.job_name, line.attempt, line.rank, line.line.trim_end())
}
