//! `tandem why`: what a job waits for, who is before it, and when it will start.

use anyhow::Result;
use clap::Args;
use tandem_proto::v1::WhyRequest;

use crate::{client::Client, exit::Exit, output::Output, render::why, time};

/// Say why a job waits, who is before it, and when it is expected to start
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tandem why quickstart/encoder
  tandem why quickstart          its jobs that have not ended

Of ten jobs one starts sooner than the first of the two times in brackets, and
one later than the second.")]
pub(crate) struct Why {
    /// Job or experiment: an id, its first characters, or an experiment's name
    target: String,
}

impl Why {
    pub(crate) async fn run(self, client: &Client, output: &Output) -> Result<Exit> {
        let request = WhyRequest { target: self.target.clone() };
        let tried = format!("ask why `{}` waits", self.target);
        let answer = client.ask(&tried, async |on| on.jobs().why(request.clone()).await).await?;
        if output.is_json() {
            output.document(&answer)?;
        } else if answer.jobs.is_empty() {
            output.note("all its jobs have ended");
        } else {
            output.text(&why::page(&answer, output.style(), time::now()))?;
        }
        Ok(Exit::Ok)
    }
}
