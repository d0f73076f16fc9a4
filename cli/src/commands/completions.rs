//! `tandem completions`: for the shell.

use anyhow::{Context, Result};
use clap::{Args, Command};
use clap_complete::Shell;

use crate::{exit::Exit, output::Output};

/// Print a completion script for a shell
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tandem completions bash > ~/.local/share/bash-completion/completions/tandem
  tandem completions fish > ~/.config/fish/completions/tandem.fish")]
pub(crate) struct Completions {
    #[arg(value_enum)]
    /// The shell that it is for
    shell: Shell,
}

impl Completions {
    /// `tandem` is the whole command line.
    pub(crate) fn run(self, mut tandem: Command, output: &Output) -> Result<Exit> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut tandem, "tandem", &mut script);
        let script = String::from_utf8(script).context("the completion script is no text")?;
        if output.is_json() {
            output.document(&serde_json::json!({ "shell": self.shell.to_string(), "script": script }))?;
        } else {
            output.text(&script)?;
        }
        Ok(Exit::Ok)
    }
}
