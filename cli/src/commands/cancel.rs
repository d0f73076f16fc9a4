//! `tandem cancel`: ends jobs.

use anyhow::Result;
use clap::Args;
use clap_complete::engine::ArgValueCompleter;
use tandem_proto::v1::{CancelRequest, CancelResponse};

use crate::{
    client::Client,
    complete,
    exit::Exit,
    output::Output,
    render::{job, shared},
    time,
};

/// Cancel a job, or every job of an experiment that has not ended
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tandem cancel 0199a1b2
  tandem cancel quickstart         what you submitted under this name
  tandem cancel ann/quickstart     what ann did (admins)

You take back what you want of these jobs. A job that another submission wants,
too, goes on: the exit code is then 1, and a line says what ends it.")]
pub(crate) struct Cancel {
    /// Job or experiment: an id, its first characters, or an experiment's name
    #[arg(add = ArgValueCompleter::new(complete::targets))]
    target: String,
}

impl Cancel {
    pub(crate) async fn run(self, client: &Client, output: &Output) -> Result<Exit> {
        let request = CancelRequest { target: self.target.clone() };
        let tried = format!("cancel `{}`", self.target);
        let answer: CancelResponse = client.ask(&tried, async |on| on.jobs().cancel(request.clone()).await).await?;
        if output.is_json() {
            output.document(&answer)?;
        } else if !answer.cancelled.is_empty() {
            output.text(&job::table(&answer.cancelled, output.style(), time::now()))?;
        } else if answer.shared.is_empty() {
            output.note("nothing to cancel: all jobs had ended");
        }
        for line in shared::lines(&answer.shared) {
            output.note(&line);
        }
        let goes_on = answer.shared.iter().any(|job| !job.cancelled);
        Ok(if goes_on { Exit::JobFailed } else { Exit::Ok })
    }
}
