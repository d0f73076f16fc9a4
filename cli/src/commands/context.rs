//! `tandem context`: the coordinators that were joined, and which of them commands ask.

use anyhow::Result;
use clap::{Args, Subcommand};

use crate::{
    config,
    contexts::Contexts,
    exit::Exit,
    json,
    output::Output,
    render::people::{self, ContextRow},
};

/// List the coordinators that you joined, and choose which one commands ask
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tandem context list
  tandem context use lab
  tandem --context lab status        for one command; TANDEM_CONTEXT for a shell
  tandem context remove lab")]
pub(crate) struct Context {
    #[command(subcommand)]
    command: ContextCommand,
}

#[derive(Debug, Subcommand)]
enum ContextCommand {
    List(List),
    Use(Use),
    Remove(Remove),
}

/// List them; a star marks the current one
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tandem context list")]
struct List {}

/// Make one the current one
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tandem context use lab")]
struct Use {
    /// As `tandem context list` shows it
    name: String,
}

/// Forget one. Its token stays good until `tandem token revoke`
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tandem context remove lab")]
struct Remove {
    /// As `tandem context list` shows it
    name: String,
}

impl Context {
    pub(crate) fn run(self, output: &Output) -> Result<Exit> {
        let contexts = Contexts::in_dir(&config::needed_dir()?);
        match self.command {
            ContextCommand::List(List {}) => list(&contexts, output),
            ContextCommand::Use(Use { name }) => {
                contexts.make_current(&name)?;
                say(&name, &format!("{name} is the current context now"), output)
            }
            ContextCommand::Remove(Remove { name }) => {
                contexts.remove(&name)?;
                say(&name, &format!("removed the context {name}; its token is good until it is revoked"), output)
            }
        }
    }
}

fn list(contexts: &Contexts, output: &Output) -> Result<Exit> {
    let current = contexts.current()?;
    let rows: Vec<ContextRow> = contexts
        .names()?
        .into_iter()
        .map(|name| {
            let is_current = current.as_ref() == Some(&name);
            match contexts.read(&name) {
                Ok(joined) => ContextRow {
                    servers: joined.servers.iter().map(ToString::to_string).collect(),
                    token: joined.token.map(|token| token.id().to_string()),
                    fingerprint: joined.house.map(|house| house.fingerprint().to_string()),
                    problem: None,
                    name,
                    is_current,
                },
                Err(error) => ContextRow {
                    problem: Some(format!("{error:#}")),
                    servers: Vec::new(),
                    token: None,
                    fingerprint: None,
                    name,
                    is_current,
                },
            }
        })
        .collect();
    if output.is_json() {
        output.document(&json::Contexts { contexts: &rows })?;
    } else if rows.is_empty() {
        output.note("no contexts; `tandem join URL FINGERPRINT` makes one");
    } else {
        output.text(&people::contexts(&rows, output.style()))?;
    }
    Ok(Exit::Ok)
}

fn say(name: &str, words: &str, output: &Output) -> Result<Exit> {
    if output.is_json() {
        output.document(&serde_json::json!({ "context": name }))?;
    } else {
        output.note(words);
    }
    Ok(Exit::Ok)
}
