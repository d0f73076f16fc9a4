//! `tandem release`: ends the quarantine of a worker.

use anyhow::Result;
use clap::Args;
use clap_complete::engine::ArgValueCompleter;
use tandem_proto::v1::ReleaseRequest;

use crate::{client::Client, complete, exit::Exit, output::Output};

/// Let a quarantined worker have jobs again
#[derive(Debug, Args)]
#[command(after_help = "\
A worker on which three different jobs were lost, one after the other, gets no
more for an hour; `tandem status` says why.

Example:
  tandem release gpu-2")]
pub(crate) struct Release {
    /// Name or id of the worker
    #[arg(add = ArgValueCompleter::new(complete::workers))]
    worker: String,
}

impl Release {
    pub(crate) async fn run(self, client: &Client, output: &Output) -> Result<Exit> {
        let request = ReleaseRequest { worker: self.worker.clone() };
        let tried = format!("release `{}`", self.worker);
        let answer = client.ask(&tried, async |on| on.fleet().release(request.clone()).await).await?;
        if output.is_json() {
            output.document(&answer)?;
        } else if answer.was_quarantined {
            output.note(&format!("{} may have jobs again", self.worker));
        } else {
            output.note(&format!("{} was not quarantined", self.worker));
        }
        Ok(Exit::Ok)
    }
}
