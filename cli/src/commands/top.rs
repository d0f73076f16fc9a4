//! `tandem top`: devices, what runs and what waits, on one screen that follows.

use std::{
    env,
    io::{self, IsTerminal},
};

use anyhow::Result;
use clap::Args;
use tandem_proto::v1::StatusRequest;

use crate::{
    client::Client,
    exit::{Exit, Failure},
    output::Output,
    top::{self, Look},
};

/// Watch the house: devices, what runs, what waits and why, a job's live curve
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tandem top
  tandem top --color never

Keys: arrows or j k, Tab (next table), Enter (a job's curve and events),
/ (filter), c (cancel, after a question), ? (all keys), q (quit; jobs go on).")]
pub(crate) struct Top {}

impl Top {
    /// Before anybody is asked.
    pub(crate) fn check(&self, output: &Output) -> Result<()> {
        let refused = |why: &str| {
            let message =
                format!("tandem top draws on a whole screen, {why}: `tandem status` and `tandem list` print the same");
            Err(Failure::error(Exit::Usage, message))
        };
        if output.is_json() {
            return refused("which is no JSON");
        }
        if !(io::stdin().is_terminal() && io::stdout().is_terminal()) {
            return refused("and stdin or stdout is no terminal");
        }
        if env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb") {
            return refused("and TERM says that this terminal cannot do that");
        }
        Ok(())
    }

    pub(crate) async fn run(self, client: &Client, output: &Output) -> Result<Exit> {
        // Who cannot be reached, or does not let this person in, is said before the screen is taken.
        client.ask("ask for the status", async |on| on.fleet().status(StatusRequest {}).await).await?;
        let first = top::news(client).await.map_err(|why| Failure::error(Exit::Temporary, why))?;
        top::run(client, first, Look { color: output.style().color }).await
    }
}
