//! `tandem whoami`: who the coordinator takes one for.

use anyhow::Result;
use clap::Args;
use tandem_proto::v1::WhoAmIRequest;

use crate::{client::Client, exit::Exit, json, output::Output, render::people};

/// Show who the coordinator takes you for, and what you may do
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tandem whoami
  tandem --context lab whoami --json | jq -r .role")]
pub(crate) struct WhoAmI {}

impl WhoAmI {
    pub(crate) async fn run(self, client: &Client, output: &Output) -> Result<Exit> {
        let answer = client.ask("tell who you are", async |on| on.people().who_am_i(WhoAmIRequest {}).await).await?;
        if output.is_json() {
            output.document(&json::WhoAmIJson { server: client.server(), who: &answer })?;
        } else {
            output.text(&people::who_am_i(&answer, client.server()))?;
        }
        Ok(Exit::Ok)
    }
}
