//! `tandem policy`: how the house is shared.

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, Subcommand};
use tandem_domain::policy::BYTES_MAX;
use tandem_proto::v1::{GetPolicyRequest, PolicyHistoryRequest, SetPolicyRequest};

use crate::{
    client::Client,
    commands::submit::read_text,
    exit::Exit,
    output::Output,
    printable::line,
    render::{policy, units},
    time::{self, utc},
};

/// How the house is shared: priorities, fair share, limits of each person
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tandem policy show
  tandem policy show > policy.toml; $EDITOR policy.toml
  tandem policy set policy.toml")]
pub(crate) struct Policy {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Show(Show),
    Set(Set),
    History(History),
}

/// Show the policy in force, as a file, what was left out filled in
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tandem policy show
  tandem policy show 3
  tandem policy show 0       what holds in a house that has set none")]
struct Show {
    /// An older version, as `tandem policy history` lists them
    #[arg(value_name = "N")]
    number: Option<u64>,
    /// As it was written
    #[arg(long)]
    written: bool,
}

/// Put a policy in force (admins). A wrong one is refused, and the old one stays
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tandem policy set policy.toml
  tandem policy set policy.toml --dry-run
  tandem policy set policy.toml --instead-of 3    unless somebody was faster

A file of a house where nobody has more than two of four cards:
  [fair_share]
  half_life = \"7d\"               # after a week a second counts half
  weights = { ann = 2.0 }        # everybody else has 1
  [priorities]
  submitter = [-10, 10]
  [limits]                       # of each person; what is left out is free
  running_devices = 2
  queued_jobs = 500
  device_hours_a_week = 300.0
  max_time = \"2d\"
  hold = \"8h\"
  held_devices = 1
  stored_gb = 200.0
  [people.ann]
  running_devices = 3
  [retention]                    # what goes by age: tandem clean --help
  checkpoints_after = \"14d\"")]
struct Set {
    /// The policy, TOML; `-` reads stdin
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Check it and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Refuse if another version is in force by now
    #[arg(long, value_name = "N")]
    instead_of: Option<u64>,
}

/// List all policies that were ever set, newest first, with what each changed
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  tandem policy history --limit 5

What one of them said in full: tandem policy show N")]
struct History {
    /// At most so many
    #[arg(long, default_value_t = 20, value_name = "N")]
    limit: u32,
}

impl Policy {
    pub(crate) async fn run(self, client: &Client, output: &Output) -> Result<Exit> {
        match self.command {
            Command::Show(show) => show.run(client, output).await,
            Command::Set(set) => set.run(client, output).await,
            Command::History(history) => history.run(client, output).await,
        }
    }
}

impl Show {
    async fn run(self, client: &Client, output: &Output) -> Result<Exit> {
        let request = GetPolicyRequest { version: self.number };
        let answer = client.ask("ask for the policy", async |on| on.policies().get(request).await).await?;
        if output.is_json() {
            output.document(&answer)?;
            return Ok(Exit::Ok);
        }
        let policy = answer.policy.unwrap_or_default();
        let head = match policy.version {
            0 => "# nobody has set a policy: this is what holds then\n".to_owned(),
            version => {
                let at = utc(&policy.set_at).map(units::moment).unwrap_or_default();
                format!("# version {version}, set by {} at {at}\n", line(&policy.set_by))
            }
        };
        output.text(&format!("{head}{}", if self.written { policy.toml } else { answer.effective }))?;
        Ok(Exit::Ok)
    }
}

impl Set {
    async fn run(self, client: &Client, output: &Output) -> Result<Exit> {
        let toml = read_text(&self.file, "a policy", BYTES_MAX)?;
        let request = SetPolicyRequest {
            toml,
            dry_run: self.dry_run,
            instead_of: self.instead_of,
            file_name: self.file.display().to_string(),
        };
        let tried = format!("set the policy of {}", self.file.display());
        let answer = client.ask(&tried, async |on| on.policies().set(request.clone()).await).await?;
        if output.is_json() {
            output.document(&answer)?;
            return Ok(Exit::Ok);
        }
        answer.changes.iter().for_each(|change| output.note(&line(change)));
        match &answer.policy {
            Some(policy) if answer.changes.is_empty() => output
                .note(&format!("version {} of the policy is in force; it means what the last one did", policy.version)),
            Some(policy) => output.note(&format!("version {} of the policy is in force", policy.version)),
            None => output.note("the policy is right; nothing was changed"),
        }
        answer.notes.iter().for_each(|note| output.note(&line(note)));
        Ok(Exit::Ok)
    }
}

impl History {
    async fn run(self, client: &Client, output: &Output) -> Result<Exit> {
        let request = PolicyHistoryRequest { limit: self.limit };
        let answer = client.ask("ask for the policies", async |on| on.policies().history(request).await).await?;
        if output.is_json() {
            output.document(&answer)?;
        } else if answer.policies.is_empty() {
            output.note("nobody has set a policy yet: tandem policy set FILE");
        } else {
            output.text(&policy::history(&answer.policies, output.style(), time::now()))?;
        }
        Ok(Exit::Ok)
    }
}
