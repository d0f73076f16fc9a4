//! `tandem compare`: what differs between jobs or experiments, and how sure that is.

mod gather;

use std::io;

use anyhow::Result;
use clap::Args;
use clap_complete::engine::ArgValueCompleter;
use tandem_tables::{Format, bytes};

use crate::{
    client::Client,
    compare::{document::comparison, pairs::pairs, rows},
    complete,
    exit::{Exit, Failure},
    output::Output,
    render::compare as text,
};

/// More than this stand beside each other in no table.
const MOST: usize = 6;

/// Compare jobs, or experiments job by job: parameters, environment, data, results over seeds, verdicts image by image
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tandem compare table1/linear table1-lr/linear
  tandem compare table1 table1-lr         jobs of one name without the seed
  tandem compare 'sweep/linear[lr=0.1]' 'sweep/linear[lr=0.3]'
                                          with all the seeds of each
  tandem compare plb pgd --json
  tandem compare a b --format csv         md, latex and parquet, too

Intervals are of 95 % confidence: of a mean by Student's t over seeds, of a
difference of two by Welch's. Where both have verdicts on the same images, these
are compared by McNemar's exact test.")]
pub(crate) struct Compare {
    /// Two to six jobs or experiments: ids, their first characters, names; EXPERIMENT/JOB without a seed is all seeds of it
    #[arg(value_name = "TARGET", num_args = 2..=MOST, required = true, add = ArgValueCompleter::new(complete::targets))]
    targets: Vec<String>,
    /// A row for each figure of each: csv, json, md, latex or parquet
    #[arg(long, value_name = "FORMAT", conflicts_with = "json")]
    format: Option<Format>,
}

impl Compare {
    pub(crate) async fn run(self, client: &Client, output: &Output) -> Result<Exit> {
        let is_screen = io::IsTerminal::is_terminal(&io::stdout());
        if let Some(format) = self.format.filter(|format| is_screen && !format.is_text()) {
            let message = format!("{} is nothing for a terminal: send it into a file with >", format.name());
            return Err(Failure::error(Exit::Usage, message));
        }
        let sides = gather::sides(client, &self.targets).await?;
        let (paired, alone) = pairs(&sides);
        if paired.is_empty() {
            let names = |letter: &str| {
                let own = alone.iter().filter(|one| one.letter == letter).map(|one| one.name.as_str());
                format!("{letter} has {}", own.take(MOST).collect::<Vec<_>>().join(", "))
            };
            let told: Vec<String> = sides.iter().map(|side| names(&side.letter)).collect();
            let message = format!(
                "nothing to compare: no job of one has the name of a job of another; {}. Name two jobs to compare them \
                 whatever they are called",
                told.join("; ")
            );
            return Err(Failure::error(Exit::NotFound, message));
        }
        let known = gather::known(client, &paired).await?;
        let found = comparison(&sides, paired, alone, &known);
        match self.format {
            Some(format) => output.raw(&bytes(&rows::table(&found)?, format)?)?,
            None if output.is_json() => output.document(&found)?,
            None => {
                output.text(&text::page(&found, output.style()))?;
                output.note(&text::method(&found));
            }
        }
        Ok(Exit::Ok)
    }
}
