//! `tandem pause`, `resume`, `requeue` and `priority`: what people want of their jobs beside that they run.

use anyhow::Result;
use clap::Args;
use tandem_domain::policy::span;
use tandem_proto::v1::{ChangedResponse, JobState, PauseRequest, RequeueRequest, ResumeRequest, SetPriorityRequest};

use crate::{client::Client, exit::Exit, output::Output, printable::line, render::job, time};

/// Pause a job or an experiment: what runs stops at a checkpoint
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tandem pause quickstart
  tandem pause 0199a1b2

A job that another submission wants, too, goes on until all who want it have
paused it: the exit code is then 1.")]
pub(crate) struct Pause {
    /// Job or experiment: an id, its first characters, or an experiment's name
    target: String,
}

impl Pause {
    pub(crate) async fn run(self, client: &Client, output: &Output) -> Result<Exit> {
        let request = PauseRequest { target: self.target.clone() };
        let tried = format!("pause `{}`", self.target);
        let answer = client.ask(&tried, async |on| on.jobs().pause(request.clone()).await).await?;
        let stopping = answer.changed.iter().filter(|job| job.state() == JobState::Running).count();
        let exit = told(&answer, output)?;
        if stopping > 0 {
            output.note("what runs stops at a checkpoint, after the step that it is at; `tandem watch` shows when");
        }
        Ok(exit)
    }
}

/// Go on with what was paused, from its checkpoint
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  tandem resume quickstart")]
pub(crate) struct Resume {
    /// Job or experiment: an id, its first characters, or an experiment's name
    target: String,
}

impl Resume {
    pub(crate) async fn run(self, client: &Client, output: &Output) -> Result<Exit> {
        let request = ResumeRequest { target: self.target.clone() };
        let tried = format!("resume `{}`", self.target);
        let answer = client.ask(&tried, async |on| on.jobs().resume(request.clone()).await).await?;
        told(&answer, output)
    }
}

/// Try again what failed or was cancelled, from its checkpoint; send back to the line what runs
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tandem requeue quickstart
  tandem requeue 0199a1b2 --max-time 12h    its time was over: give it more

What starts from it, and was cancelled for it, is tried again, too. What has
trained for as long as it may is refused, unless it is given more time.")]
pub(crate) struct Requeue {
    /// Job or experiment: an id, its first characters, or an experiment's name
    target: String,
    /// The longest that they may train from now on, what they have trained included: 90m, 12h, 2d
    #[arg(long, value_name = "TIME", value_parser = span::parse)]
    max_time: Option<std::time::Duration>,
}

impl Requeue {
    pub(crate) async fn run(self, client: &Client, output: &Output) -> Result<Exit> {
        let max_seconds = self.max_time.map(|time| time.as_secs());
        let request = RequeueRequest { target: self.target.clone(), max_seconds };
        let tried = format!("requeue `{}`", self.target);
        let answer = client.ask(&tried, async |on| on.jobs().requeue(request.clone()).await).await?;
        told(&answer, output)
    }
}

/// Change the priority of what waits or runs
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tandem priority quickstart 10
  tandem priority quickstart/linear -5

Which priorities you may give, the policy says: tandem policy show")]
pub(crate) struct Priority {
    /// Job or experiment: an id, its first characters, or an experiment's name
    target: String,
    /// The higher goes first
    #[arg(allow_negative_numbers = true)]
    priority: i32,
}

impl Priority {
    pub(crate) async fn run(self, client: &Client, output: &Output) -> Result<Exit> {
        let request = SetPriorityRequest { target: self.target.clone(), priority: self.priority };
        let tried = format!("give `{}` priority {}", self.target, self.priority);
        let answer = client.ask(&tried, async |on| on.jobs().set_priority(request.clone()).await).await?;
        told(&answer, output)
    }
}

/// Shows what was changed, and says what was not.
fn told(answer: &ChangedResponse, output: &Output) -> Result<Exit> {
    if output.is_json() {
        output.document(answer)?;
    } else if !answer.changed.is_empty() {
        output.text(&job::table(&answer.changed, output.style(), time::now()))?;
    }
    answer.notes.iter().for_each(|note| output.note(&line(note)));
    Ok(if answer.notes.is_empty() { Exit::Ok } else { Exit::JobFailed })
}
