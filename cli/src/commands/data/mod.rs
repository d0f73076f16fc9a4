//! `tandem data`: the data sets that jobs train on.

mod get;
mod put;
mod remove;

use anyhow::Result;
use clap::{Args, Subcommand};
use tandem_proto::v1::{ListDataRequest, StatusRequest};

use crate::{client::Client, exit::Exit, json, output::Output, render::datasets};
use get::Get;
use put::Put;
use remove::Remove;

/// The data sets that jobs train on: put your own, get published ones, list those that the workers see
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tandem data put cats ~/images/cats
  tandem data list
  tandem data get cifar10              on the machine of the workers")]
pub(crate) struct Data {
    #[command(subcommand)]
    command: DataCommand,
}

#[derive(Debug, Subcommand)]
enum DataCommand {
    List(List),
    Put(Put),
    Remove(Remove),
    Get(Get),
}

/// List the data sets that the workers see, and whose those are that people have put
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tandem data list
  tandem data list --json | jq -r '.datasets[].name'")]
struct List {}

impl Data {
    /// What is brought into a folder of this machine needs no coordinator.
    pub(crate) async fn run(self, connect: impl AsyncFnOnce() -> Result<Client>, output: &Output) -> Result<Exit> {
        match self.command {
            DataCommand::Get(get) => get.run(output).await,
            DataCommand::List(List {}) => list(&connect().await?, output).await,
            DataCommand::Put(put) => put.run(connect, output).await,
            DataCommand::Remove(remove) => remove.run(&connect().await?, output).await,
        }
    }
}

async fn list(client: &Client, output: &Output) -> Result<Exit> {
    let status = client.ask("ask for the data sets", async |on| on.fleet().status(StatusRequest {}).await).await?;
    let stored = client.ask("ask for the data sets", async |on| on.data().list(ListDataRequest {}).await).await?;
    if output.is_json() {
        let datasets = datasets::seen(&status.workers);
        output.document(&json::Datasets { datasets, stored: &stored.datasets })?;
        return Ok(Exit::Ok);
    }
    let problems = datasets::problems(&status.workers);
    let seen = datasets::table(&status.workers, output.style()).unwrap_or_default();
    let put =
        datasets::stored(&stored.datasets, output.style()).map(|table| format!("\n\n{table}")).unwrap_or_default();
    let seen = seen.trim_end();
    match format!("{seen}{problems}{put}").trim() {
        "" => output.note(
            "no worker sees a data set (shapes is made on the spot); bring one with: tandem data put NAME FOLDER, or on the \
             machine of the workers: tandem data get cifar10",
        ),
        text => output.text(text)?,
    }
    Ok(Exit::Ok)
}
