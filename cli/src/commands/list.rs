//! `tandem list`: jobs, newest experiments first.

use anyhow::Result;
use clap::{Args, ValueEnum};
use clap_complete::engine::ArgValueCompleter;
use tandem_proto::v1::{ExperimentsRequest, JobState, ListRequest};

use super::asked::{Filter, Rest, Which, say_more, say_rest};
use crate::{
    client::Client,
    complete,
    exit::Exit,
    output::Output,
    render::{experiments, job, state as words},
    time,
};

/// List jobs or experiments, the newest first
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tandem list
  tandem list --experiments --mine
  tandem list --mine --since 7d
  tandem list --state queued,running
  tandem list --where \"stage = 'attack' and device_seconds > '1h'\"
  tandem list --tag camera-ready --since 7d
  tandem list --experiments --archived
  tandem list --experiment quickstart --json | jq '.jobs[].name'")]
pub(crate) struct List {
    /// Only jobs in these states
    #[arg(long, value_enum, value_delimiter = ',', value_name = "STATE")]
    state: Vec<State>,
    /// Only this experiment: its id, the first characters, or its name
    #[arg(
        long,
        value_name = "EXPERIMENT",
        default_value = "",
        hide_default_value = true,
        add = ArgValueCompleter::new(complete::targets)
    )]
    experiment: String,
    /// Experiments in place of jobs: how far each is, and its best figure
    #[arg(long, conflicts_with_all = ["state", "experiment", "condition", "since", "cursor", "view"])]
    experiments: bool,
    #[command(flatten)]
    which: Which,
    /// Only experiments that are archived: those are left out otherwise
    #[arg(long, requires = "experiments")]
    archived: bool,
    /// At most this many
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
    Paused,
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
            State::Paused => Self::Paused,
        }
    }
}

impl List {
    pub(crate) async fn run(self, client: &Client, output: &Output) -> Result<Exit> {
        if self.experiments {
            return self.experiments(client, output).await;
        }
        let wanted: Vec<JobState> = self.state.iter().map(|state| JobState::from(*state)).collect();
        let states: Vec<&str> = wanted.iter().map(|state| words::job(*state)).collect();
        let request = ListRequest {
            limit: self.limit,
            states: wanted.iter().map(|state| (*state).into()).collect(),
            experiment: self.experiment.clone(),
            r#where: self.which.filter.condition.clone(),
            owner: self.which.filter.owner.clone(),
            mine: self.which.filter.mine,
            since: self.which.filter.since.clone(),
            cursor: self.which.cursor.clone(),
            in_line: false,
            tag: self.which.filter.tag.clone(),
            view: self.which.view.clone(),
        };
        let answer = client.ask("list jobs", async |on| on.jobs().list(request.clone()).await).await?;
        if output.is_json() {
            output.document(&answer)?;
        } else if answer.jobs.is_empty() {
            let none = match (states.is_empty(), self.experiment.is_empty()) {
                _ if !request.tag.is_empty() => format!("no such jobs with the tag `{}`", request.tag),
                _ if self.which.is_meant() => "no job is so".to_owned(),
                (true, true) => "no jobs; submit some with: tandem submit FILE".to_owned(),
                (true, false) => format!("no jobs in `{}`", self.experiment),
                (false, _) => format!("no jobs that are {}; without --state others are listed", states.join(" or ")),
            };
            output.note(&none);
        } else {
            output.text(&job::table(&answer.jobs, output.style(), time::now()))?;
        }
        say_rest(
            output,
            &Rest {
                cursor: &answer.next_cursor,
                shown: answer.jobs.len(),
                total: answer.total,
                more_than_total: answer.more_than_total,
                not_indexed: answer.not_indexed,
            },
        );
        if answer.more {
            say_more(output, answer.jobs.len());
        }
        Ok(Exit::Ok)
    }

    async fn experiments(self, client: &Client, output: &Output) -> Result<Exit> {
        let is_chosen = !self.which.filter.tag.is_empty() || self.archived;
        let Self { limit, which: Which { filter: Filter { owner, mine, tag, .. }, .. }, archived, .. } = self;
        // One more than is shown tells that there are more.
        let request = ExperimentsRequest { limit: limit.saturating_add(1), owner, mine, tag, archived };
        let tried = "list experiments";
        let mut answer = client.ask(tried, async |on| on.jobs().experiments(request.clone()).await).await?;
        let more = answer.experiments.len() > limit as usize;
        answer.experiments.truncate(limit as usize);
        if output.is_json() {
            output.document(&answer)?;
        } else if answer.experiments.is_empty() && is_chosen {
            output.note("no such experiments");
        } else if answer.experiments.is_empty() {
            output.note("no experiments; submit one with: tandem submit FILE");
        } else {
            output.text(&experiments::table(&answer.experiments, output.style(), time::now()))?;
        }
        if more {
            say_more(output, answer.experiments.len());
        }
        Ok(Exit::Ok)
    }
}
