//! `tandem usage`: who used how much of the devices, and who has how much in the store.

use anyhow::Result;
use chrono::TimeDelta;
use clap::Args;
use tandem_proto::{
    convert::timestamp,
    v1::{StoredRequest, UsageRequest},
};

use crate::{
    client::Client,
    exit::Exit,
    output::Output,
    render::{stored, usage},
    since::Since,
    time::{self, utc},
};

/// Show who used how much of the devices, by day and kind, or of the store
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tandem usage
  tandem usage --since 7d
  tandem usage --stored          bytes by person, and your largest jobs
  tandem usage --json | jq '[.usage[].device_seconds] | add'

Counted is the time that jobs held devices, from their assignment on. A job that
several people want counts for the one who submitted it first. What is longer
ago than 400 days is not shown, and the answer says from when on it is.")]
pub(crate) struct Usage {
    /// Since then: 12h, 7d, or a date (UTC); 400 days back at most
    #[arg(long, value_name = "TIME", default_value = "30d")]
    since: Since,
    /// What is in the store now, by person, and your largest jobs
    #[arg(long, conflicts_with = "since")]
    stored: bool,
    /// The largest jobs of this person
    #[arg(long, requires = "stored", value_name = "NAME", default_value = "", hide_default_value = true)]
    owner: String,
}

impl Usage {
    pub(crate) async fn run(self, client: &Client, output: &Output) -> Result<Exit> {
        if self.stored {
            let request = StoredRequest { owner: self.owner };
            let tried = "show what is stored";
            let answer = client.ask(tried, async |on| on.keeping().stored(request.clone()).await).await?;
            if output.is_json() {
                output.document(&answer)?;
            } else if answer.people.is_empty() {
                output.note("no job has files in the store");
            } else {
                output.text(&stored::page(&answer, output.style()))?;
            }
            return Ok(Exit::Ok);
        }
        let asked = self.since.moment(time::now());
        let request = UsageRequest { since: Some(timestamp(asked)) };
        let answer = client.ask("show the usage", async |on| on.devices().usage(request).await).await?;
        if output.is_json() {
            output.document(&answer)?;
        } else if answer.usage.is_empty() {
            output.note("no job has had a device since then");
        } else {
            output.text(&usage::page(&answer.usage, output.style()))?;
        }
        if let Some(since) = utc(&answer.since).filter(|since| *since - asked > TimeDelta::minutes(1)) {
            output.note(&format!(
                "shown is what was from {} on: longer ago is not kept by day",
                since.format("%Y-%m-%d")
            ));
        }
        Ok(Exit::Ok)
    }
}
