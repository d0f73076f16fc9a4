//! `tandem audit`: who changed what, from where, and who was refused.

use anyhow::Result;
use clap::Args;
use tandem_proto::{convert::timestamp, v1::AuditRequest};

use crate::{client::Client, exit::Exit, output::Output, render::audit, since::Since, time};

/// Show who changed what, from where, and who was refused (admins)
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tandem audit
  tandem audit --user ann --since 7d    what ann did, or what was done to ann's
  tandem audit --since 2026-11-01 --json | jq -r '.entries[].outcome'

Newest first. Nobody can change it; tandem-server audit-drop ends old months, as
the owner of the database.")]
pub(crate) struct Audit {
    /// Only what this person did, or what was done to something of this person
    #[arg(long, value_name = "PERSON")]
    user: Option<String>,
    /// Only since then: 12h, 7d, or a date (UTC)
    #[arg(long, value_name = "TIME")]
    since: Option<Since>,
    /// Only what was done to this job, by its id
    #[arg(long, value_name = "ID")]
    job: Option<String>,
    /// How many lines at most
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    limit: u32,
}

impl Audit {
    pub(crate) async fn run(self, client: &Client, output: &Output) -> Result<Exit> {
        let request = AuditRequest {
            user: self.user.unwrap_or_default(),
            since: self.since.map(|since| timestamp(since.moment(time::now()))),
            job: self.job.unwrap_or_default(),
            limit: self.limit,
        };
        let answer = client.ask("show the audit", async |on| on.people().audit(request.clone()).await).await?;
        if output.is_json() {
            output.document(&answer)?;
        } else if answer.entries.is_empty() {
            output.note("nothing of that kind stands in the audit");
        } else {
            output.text(&audit::table(&answer.entries, output.style(), output.style().width))?;
        }
        Ok(Exit::Ok)
    }
}
