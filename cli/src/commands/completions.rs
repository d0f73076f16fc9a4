//! `tandem completions`: for the shell.

use anyhow::{Context, Result};
use clap::Args;
use clap_complete::{Shell, env::Shells};

use crate::{complete, exit::Exit, output::Output};

/// Print a completion script for a shell
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tandem completions bash > ~/.local/share/bash-completion/completions/tandem
  tandem completions fish > ~/.config/fish/completions/tandem.fish

Names of experiments, jobs and workers are completed, too: the coordinator that
TANDEM_SERVER, the context or this machine names is asked for them.")]
pub(crate) struct Completions {
    #[arg(value_enum)]
    /// The shell that it is for
    shell: Shell,
}

impl Completions {
    pub(crate) fn run(self, output: &Output) -> Result<Exit> {
        let mut script = Vec::new();
        let shell = self.shell.to_string();
        let shells = Shells::builtins();
        let writer = shells.completer(&shell).with_context(|| format!("no completion is known for {shell}"))?;
        // The shell asks this program itself, so that names of experiments and workers are those of now.
        writer
            .write_registration(complete::VARIABLE, "tandem", "tandem", "tandem", &mut script)
            .context("cannot write the completion script")?;
        let script = String::from_utf8(script).context("the completion script is no text")?;
        if output.is_json() {
            output.document(&serde_json::json!({ "shell": self.shell.to_string(), "script": script }))?;
        } else {
            output.text(&script)?;
        }
        Ok(Exit::Ok)
    }
}
