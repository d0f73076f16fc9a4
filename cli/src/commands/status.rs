//! `tandem status`: the workers.

use anyhow::Result;
use clap::Args;
use tandem_proto::v1::StatusRequest;

use crate::{client::Client, exit::Exit, json, output::Output, render::status, time};

/// Show the workers, what they do, which data sets they see, and how many jobs wait
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tandem status
  tandem status --json | jq '.workers[] | select(.state == \"idle\") | .name'")]
pub(crate) struct Status {}

impl Status {
    pub(crate) async fn run(self, client: &Client, output: &Output) -> Result<Exit> {
        let status = client.ask("ask for the status", async |on| on.fleet().status(StatusRequest {}).await).await?;
        if output.is_json() {
            output.document(&json::StatusJson { server: client.server(), status: &status })?;
        } else {
            output.text(&status::page(&status, output.style(), time::now()))?;
        }
        Ok(Exit::Ok)
    }
}
