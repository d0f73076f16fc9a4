//! `tandem cancel`: ends jobs.

use anyhow::Result;
use clap::Args;
use tandem_proto::v1::CancelRequest;

use crate::{client::Client, exit::Exit, output::Output, render::job, time};

/// Cancel a job, or every job of an experiment that has not ended
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tandem cancel 0199a1b2
  tandem cancel quickstart       the newest experiment of this name")]
pub(crate) struct Cancel {
    /// Job or experiment: an id, its first characters, or an experiment's name
    target: String,
}

impl Cancel {
    pub(crate) async fn run(self, client: &Client, output: &Output) -> Result<Exit> {
        let request = CancelRequest { target: self.target.clone() };
        let answer = client.jobs().cancel(request).await;
        let answer = answer.map_err(|status| client.refusal(&format!("cancel `{}`", self.target), &status))?;
        let answer = answer.into_inner();
        if output.is_json() {
            output.document(&answer)?;
        } else if answer.cancelled.is_empty() {
            output.note("nothing to cancel: all jobs had ended");
        } else {
            output.text(&job::table(&answer.cancelled, output.style(), time::now()))?;
        }
        Ok(Exit::Ok)
    }
}
