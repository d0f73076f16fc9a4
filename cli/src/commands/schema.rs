//! `tandem schema`: the experiment file for editors.

use anyhow::{Context, Result};
use clap::Args;
use tandem_domain::plan;

use crate::{exit::Exit, output::Output};

/// Print the JSON Schema of the experiment file, for editors
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tandem schema > tandem.schema.json

An editor that knows TOML (VS Code with Even Better TOML, Helix, Neovim with
taplo) completes and checks files whose first line is
  #:schema tandem.schema.json")]
pub(crate) struct Schema {}

impl Schema {
    pub(crate) fn run(self, output: &Output) -> Result<Exit> {
        let schema = plan::schema();
        if output.is_json() {
            output.document(&schema)?;
        } else {
            output.text(&serde_json::to_string_pretty(&schema).context("the schema is no JSON")?)?;
        }
        Ok(Exit::Ok)
    }
}
