//! `tandem hold`, `unhold`, `drain` and `undrain`: devices that get nothing new.

use std::time::Duration;

use anyhow::Result;
use clap::Args;
use tandem_domain::policy::span;
use tandem_proto::v1::{DrainRequest, HoldRequest, UndrainRequest, UnholdRequest, Worker};

use crate::{client::Client, exit::Exit, output::Output, printable::line, render::units, time::utc};

/// Take a device for yourself, for a while
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tandem hold gpu-3 2h
  tandem hold gpu-3 45m --now --reason 'a notebook'

What runs there ends first; with --now it stops at a checkpoint and goes on
elsewhere. For how long, and how many, the policy says: tandem policy show")]
pub(crate) struct Hold {
    /// Name or id of the worker
    worker: String,
    /// For how long: 45m, 2h, 1d
    #[arg(value_parser = span::parse)]
    time: Duration,
    /// What for; others see it
    #[arg(long, default_value = "", hide_default_value = true)]
    reason: String,
    /// Stop what runs there, at a checkpoint
    #[arg(long)]
    now: bool,
}

impl Hold {
    pub(crate) async fn run(self, client: &Client, output: &Output) -> Result<Exit> {
        let request = HoldRequest {
            worker: self.worker.clone(),
            seconds: self.time.as_secs(),
            reason: self.reason.clone(),
            now: self.now,
        };
        let tried = format!("hold `{}`", self.worker);
        let answer = client.ask(&tried, async |on| on.fleet().hold(request.clone()).await).await?;
        if output.is_json() {
            output.document(&answer)?;
            return Ok(Exit::Ok);
        }
        let until = answer.worker.as_ref().and_then(|worker| worker.hold.as_ref()).and_then(|hold| utc(&hold.until));
        let until = until.map(units::moment).unwrap_or_default();
        output.note(&format!("{} is yours until {until}", self.worker));
        still_there(&answer.running, answer.stopping, &format!("tandem hold {} .. --now", self.worker), output);
        Ok(Exit::Ok)
    }
}

/// Give back a device that is held
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  tandem unhold gpu-3")]
pub(crate) struct Unhold {
    /// Name or id of the worker
    worker: String,
}

impl Unhold {
    pub(crate) async fn run(self, client: &Client, output: &Output) -> Result<Exit> {
        let request = UnholdRequest { worker: self.worker.clone() };
        let tried = format!("give back `{}`", self.worker);
        let answer = client.ask(&tried, async |on| on.fleet().unhold(request.clone()).await).await?;
        if output.is_json() {
            output.document(&answer)?;
        } else if answer.was_held {
            output.note(&gets_jobs(&self.worker, answer.worker.as_ref()));
        } else {
            output.note(&format!("{} was not held", self.worker));
        }
        Ok(Exit::Ok)
    }
}

/// Let a worker finish what it has and give it nothing new, until it is undrained
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tandem drain gpu-2 --reason 'new fan on Friday'
  tandem drain gpu-2 --now          stops what runs there, at a checkpoint")]
pub(crate) struct Drain {
    /// Name or id of the worker
    worker: String,
    /// What for; others see it
    #[arg(long, default_value = "", hide_default_value = true)]
    reason: String,
    /// Stop what runs there, at a checkpoint
    #[arg(long)]
    now: bool,
}

impl Drain {
    pub(crate) async fn run(self, client: &Client, output: &Output) -> Result<Exit> {
        let request = DrainRequest { worker: self.worker.clone(), reason: self.reason.clone(), now: self.now };
        let tried = format!("drain `{}`", self.worker);
        let answer = client.ask(&tried, async |on| on.fleet().drain(request.clone()).await).await?;
        if output.is_json() {
            output.document(&answer)?;
            return Ok(Exit::Ok);
        }
        output.note(&format!("{} gets nothing new until: tandem undrain {}", self.worker, self.worker));
        still_there(&answer.running, answer.stopping, &format!("tandem drain {} --now", self.worker), output);
        Ok(Exit::Ok)
    }
}

/// Give jobs to a drained worker again
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  tandem undrain gpu-2")]
pub(crate) struct Undrain {
    /// Name or id of the worker
    worker: String,
}

impl Undrain {
    pub(crate) async fn run(self, client: &Client, output: &Output) -> Result<Exit> {
        let request = UndrainRequest { worker: self.worker.clone() };
        let tried = format!("undrain `{}`", self.worker);
        let answer = client.ask(&tried, async |on| on.fleet().undrain(request.clone()).await).await?;
        if output.is_json() {
            output.document(&answer)?;
        } else if answer.was_drained {
            output.note(&gets_jobs(&self.worker, answer.worker.as_ref()));
        } else {
            output.note(&format!("{} was not drained", self.worker));
        }
        Ok(Exit::Ok)
    }
}

/// What is still on a device that was asked for.
fn still_there(running: &str, stopping: bool, instead: &str, output: &Output) {
    match (running, stopping) {
        ("", _) => {}
        (job, true) => output.note(&format!("`{}` stops there at a checkpoint", line(job))),
        (job, false) => output.note(&format!("`{}` runs there to its end; sooner: {instead}", line(job))),
    }
}

/// What keeps a worker from jobs although it was given back.
fn gets_jobs(name: &str, worker: Option<&Worker>) -> String {
    match worker {
        Some(Worker { drain: Some(drain), .. }) => {
            format!("{name} is drained by {}, and still gets none", line(&drain.by))
        }
        Some(Worker { hold: Some(hold), .. }) => format!("{name} is held by {}, and still gets none", line(&hold.by)),
        _ => format!("{name} gets jobs again"),
    }
}
