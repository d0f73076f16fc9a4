//! `tandem init`: an experiment file to start from.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::{Args, builder::PossibleValuesParser};
use tandem_domain::plan;

use crate::{exit::Exit, files, json, output::Output};

/// Write a commented experiment file to start from
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tandem init contrastive              writes contrastive.toml
  tandem init attack robustness.toml
  tandem init linear -                 prints it")]
pub(crate) struct Init {
    /// The stage whose keys it has
    #[arg(value_parser = PossibleValuesParser::new(plan::STAGES.iter().copied()))]
    stage: String,
    /// Where to write it; `-` is stdout [default: STAGE.toml]
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// Replace a file that is there
    #[arg(long)]
    force: bool,
}

impl Init {
    pub(crate) fn run(self, output: &Output) -> Result<Exit> {
        let text = plan::template(&self.stage).unwrap_or_default();
        let file = self.file.unwrap_or_else(|| PathBuf::from(format!("{}.toml", self.stage)));
        if file == Path::new("-") {
            output.text(&text)?;
            return Ok(Exit::Ok);
        }
        files::write(&file, text.as_bytes(), self.force)?;
        let file = file.display().to_string();
        if output.is_json() {
            output.document(&json::Written { file })?;
        } else {
            output.text(&format!("{file} is written; see what it would run with: tandem submit {file} --dry-run"))?;
        }
        Ok(Exit::Ok)
    }
}
