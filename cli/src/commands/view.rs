//! `tandem view`: questions that are asked again.

use anyhow::Result;
use clap::{Args, Subcommand};
use clap_complete::engine::ArgValueCompleter;
use tandem_proto::v1::{ListViewsRequest, RemoveViewRequest, SaveViewRequest};

use super::asked::{Filter, Question, Shown, Which};
use crate::{client::Client, complete, exit::Exit, json, output::Output, render::views, time};

/// Keep a question about jobs under a name, and ask it again by that
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tandem view save probes --where \"stage = 'linear'\" --by encoder --best loss
  tandem results --view probes --since 7d
  tandem results --view ada/probes --where \"seed = 1\"     somebody else's
  tandem view list --all

What a command says goes before what the view says; conditions hold both.")]
pub(crate) struct View {
    #[command(subcommand)]
    command: ViewCommand,
}

#[derive(Debug, Subcommand)]
enum ViewCommand {
    Save(Box<Save>),
    List(List),
    Rm(Remove),
}

/// Keep a question, in place of one of that name; it is asked once, so that a mistake is told now
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  tandem view save mine --mine --where \"state = 'running'\" --columns job,seed")]
struct Save {
    /// What to call it: a to z, 0 to 9, dots, dashes and underscores
    name: String,
    /// Only this job or experiment
    #[arg(default_value = "", hide_default_value = true, add = ArgValueCompleter::new(complete::targets))]
    target: String,
    #[command(flatten)]
    filter: Filter,
    #[command(flatten)]
    shown: Shown,
    /// Sort by this, the best first; with --by, the figure of each group
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    best: String,
    /// With --best: smallest first
    #[arg(long, requires = "best")]
    ascending: bool,
}

/// List them, and what each asks
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tandem view list --json | jq -r '.views[].name'")]
struct List {
    /// Those of everybody
    #[arg(long)]
    all: bool,
}

/// Remove one of your own
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tandem view rm probes")]
struct Remove {
    /// As `tandem view list` shows it
    name: String,
}

impl View {
    pub(crate) async fn run(self, client: &Client, output: &Output) -> Result<Exit> {
        match self.command {
            ViewCommand::Save(save) => save.run(client, output).await,
            ViewCommand::List(list) => list.run(client, output).await,
            ViewCommand::Rm(remove) => remove.run(client, output).await,
        }
    }
}

impl Save {
    async fn run(self, client: &Client, output: &Output) -> Result<Exit> {
        let which = Which::of(self.filter);
        let question = Question {
            which: &which,
            shown: &self.shown,
            target: &self.target,
            stage: "",
            best: &self.best,
            ascending: self.ascending,
        };
        let request = SaveViewRequest { name: self.name.clone(), question: Some(question.request(0)) };
        let tried = format!("save the view `{}`", self.name);
        let answer = client.ask(&tried, async |on| on.results().save_view(request.clone()).await).await?;
        if output.is_json() {
            output.document(&json::Saved::from(&answer))?;
        } else {
            let what = if answer.replaced { "replaced" } else { "saved" };
            output.text(&format!("{what}: tandem results --view {}", self.name))?;
        }
        Ok(Exit::Ok)
    }
}

impl List {
    async fn run(self, client: &Client, output: &Output) -> Result<Exit> {
        let request = ListViewsRequest { all: self.all };
        let answer = client.ask("list views", async |on| on.results().list_views(request).await).await?;
        if output.is_json() {
            output.document(&json::Views::from(answer.views.as_slice()))?;
        } else if answer.views.is_empty() {
            output.note("no views; keep a question with: tandem view save NAME --where ..");
        } else {
            output.text(&views::table(&answer.views, self.all, output.style(), time::now()))?;
        }
        if answer.more {
            output.note(&format!("there are more than these {}", answer.views.len()));
        }
        Ok(Exit::Ok)
    }
}

impl Remove {
    async fn run(self, client: &Client, output: &Output) -> Result<Exit> {
        let request = RemoveViewRequest { name: self.name.clone() };
        let tried = format!("remove the view `{}`", self.name);
        let answer = client.ask(&tried, async |on| on.results().remove_view(request.clone()).await).await?;
        if output.is_json() {
            output.document(&json::Views::from(answer.view.as_slice()))?;
        } else {
            output.text(&format!("removed {}", self.name))?;
        }
        Ok(Exit::Ok)
    }
}
