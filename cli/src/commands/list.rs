//! `tandem list`: jobs, newest experiments first.

use anyhow::Result;
use clap::{Args, ValueEnum};
use tandem_proto::v1::{JobState, ListRequest};

use crate::{client::Client, exit::Exit, output::Output, render::job, time};

/// List jobs, newest experiments first
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tandem list
  tandem list --state queued,running
  tandem list --experiment quickstart --json | jq '.jobs[].name'")]
pub(crate) struct List {
    /// Only jobs in these states
    #[arg(long, value_enum, value_delimiter = ',', value_name = "STATE")]
    state: Vec<State>,
    /// Only this experiment: its id, the first characters, or its name
    #[arg(long, value_name = "EXPERIMENT", default_value = "", hide_default_value = true)]
    experiment: String,
    /// At most this many jobs
    #[arg(long, default_value_t = 50, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum State {
    Blocked,
    Queued,
    Running,
    Succeeded,
    Failed,
    Cancelled,
}

impl From<State> for JobState {
    fn from(state: State) -> Self {
        match state {
            State::Blocked => Self::Blocked,
            State::Queued => Self::Queued,
            State::Running => Self::Running,
            State::Succeeded => Self::Succeeded,
            State::Failed => Self::Failed,
            State::Cancelled => Self::Cancelled,
        }
    }
}

impl List {
    pub(crate) async fn run(self, client: &Client, output: &Output) -> Result<Exit> {
        let states = self.state.into_iter().map(|state| JobState::from(state).into()).collect();
        let request = ListRequest { limit: self.limit, states, experiment: self.experiment, ..ListRequest::default() };
        let answer = client.ask("list jobs", async |on| on.jobs().list(request.clone()).await).await?;
        if output.is_json() {
            output.document(&answer)?;
        } else if answer.jobs.is_empty() {
            output.note("no jobs; submit some with: tandem submit FILE");
        } else {
            output.text(&job::table(&answer.jobs, output.style(), time::now()))?;
        }
        Ok(Exit::Ok)
    }
}
