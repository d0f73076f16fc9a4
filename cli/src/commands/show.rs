//! `tandem show`: everything about one job, or one experiment with its jobs.

use anyhow::Result;
use clap::Args;
use tandem_proto::v1::ShowRequest;

use crate::{client::Client, exit::Exit, output::Output, render::show, time};

/// Show one job (attempts, events, artifacts) or one experiment (its jobs)
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tandem show quickstart
  tandem show 0199a1b2 --json | jq '.events'")]
pub(crate) struct Show {
    /// Job or experiment: an id, its first characters, or an experiment's name
    target: String,
}

impl Show {
    pub(crate) async fn run(self, client: &Client, output: &Output) -> Result<Exit> {
        let request = ShowRequest { target: self.target.clone() };
        let tried = format!("show `{}`", self.target);
        let shown = client.ask(&tried, async |on| on.jobs().show(request.clone()).await).await?;
        if output.is_json() {
            output.document(&shown)?;
        } else {
            output.text(&show::page(&shown, output.style(), time::now()))?;
        }
        Ok(Exit::Ok)
    }
}
