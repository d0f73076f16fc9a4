//! `tandem archive`: out of the lists, and back.

use anyhow::Result;
use clap::Args;
use clap_complete::engine::ArgValueCompleter;
use tandem_proto::v1::ArchiveRequest;

use crate::{client::Client, complete, exit::Exit, output::Output};

/// Take an experiment out of the lists; nothing of it is removed
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tandem archive quickstart
  tandem archive quickstart --undo
  tandem list --experiments --archived

It is still found by its name or id, and its results serve later submits.")]
pub(crate) struct Archive {
    /// An experiment: its id, the first characters, or its name
    #[arg(value_name = "EXPERIMENT", add = ArgValueCompleter::new(complete::targets))]
    target: String,
    /// Take it back into the lists
    #[arg(long)]
    undo: bool,
}

impl Archive {
    pub(crate) async fn run(self, client: &Client, output: &Output) -> Result<Exit> {
        let tried = if self.undo { "take back" } else { "archive" };
        let tried = format!("{tried} `{}`", self.target);
        let request = ArchiveRequest { target: self.target, undo: self.undo };
        let answer = client.ask(&tried, async |on| on.keeping().archive(request.clone()).await).await?;
        if output.is_json() {
            output.document(&answer)?;
            return Ok(Exit::Ok);
        }
        for one in &answer.experiments {
            let how = if self.undo { "is in the lists again" } else { "is archived" };
            output.text(&format!("{} of {} {how} ({})", one.name, one.owner, one.id))?;
        }
        Ok(Exit::Ok)
    }
}
