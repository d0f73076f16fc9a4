//! `tandem audit`: who changed what, from where, and who was refused.

use anyhow::Result;
use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};
use clap::Args;
use tandem_proto::{convert::timestamp, v1::AuditRequest};

use crate::{client::Client, exit::Exit, expiry, output::Output, render::audit, time};

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

/// A moment, or so long ago.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Since {
    Ago(TimeDelta),
    At(DateTime<Utc>),
}

impl std::str::FromStr for Since {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(day) = text.parse::<NaiveDate>() {
            return Ok(Self::At(day.and_time(NaiveTime::MIN).and_utc()));
        }
        let seconds = expiry::parse(text).ok().and_then(|seconds| i64::try_from(seconds).ok());
        let ago = seconds.and_then(TimeDelta::try_seconds);
        ago.map(Self::Ago).ok_or_else(|| "expected 30m, 12h, 7d, 4w or a date, as 2026-11-01".to_owned())
    }
}

impl Since {
    fn moment(self, now: DateTime<Utc>) -> DateTime<Utc> {
        match self {
            Self::Ago(span) => now.checked_sub_signed(span).unwrap_or(DateTime::UNIX_EPOCH),
            Self::At(moment) => moment,
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_or_a_day() {
        let now: DateTime<Utc> = "2026-11-30T12:00:00Z".parse().unwrap();
        let moment = |text: &str| text.parse::<Since>().unwrap().moment(now).to_rfc3339();
        assert_eq!(moment("7d"), "2026-11-23T12:00:00+00:00");
        assert_eq!(moment("2026-11-01"), "2026-11-01T00:00:00+00:00");
        assert!("yesterday".parse::<Since>().unwrap_err().contains("as 2026-11-01"));
    }
}
