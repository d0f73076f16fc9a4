//! `tandem data remove`: images that nobody needs any more.

use anyhow::Result;
use clap::Args;
use tandem_proto::v1::RemoveDataRequest;

use crate::{client::Client, exit::Exit, json, output::Output, render::units};

/// Remove a data set that you have put; refused while jobs that have not ended need it
#[derive(Debug, Args)]
#[command(after_help = "\
Example: tandem data remove cats")]
pub(super) struct Remove {
    /// As in folder:NAME
    name: String,
}

impl Remove {
    pub(super) async fn run(self, client: &Client, output: &Output) -> Result<Exit> {
        let name = self.name.strip_prefix("folder:").unwrap_or(&self.name).to_owned();
        let request = RemoveDataRequest { name: name.clone() };
        let tried = format!("remove the data set `{name}`");
        // Where an answer was lost, the second try finds nothing: it says so, and nothing more is changed.
        let removed = client.ask(&tried, async |on| on.data().remove(request.clone()).await).await?;
        let removed = removed.dataset.unwrap_or_default();
        if output.is_json() {
            output.document(&json::RemovedDataset { removed: &removed })?;
        } else {
            output.text(&format!("removed folder:{name} of {} ({})", removed.owner, units::bytes(removed.bytes)))?;
        }
        Ok(Exit::Ok)
    }
}
