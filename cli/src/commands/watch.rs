//! `tandem watch`: live bars in a terminal, lines elsewhere, a table at the end.

use anyhow::Result;
use clap::Args;
use clap_complete::engine::ArgValueCompleter;

use crate::{
    client::Client,
    complete,
    exit::Exit,
    follow::{self, Outcome},
    newest::or_newest,
    output::Output,
    patience::Patience,
    render::results,
    time,
};

/// Follow jobs until they have ended
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tandem watch                     what you submitted last
  tandem watch quickstart          the newest experiment of this name
  tandem watch 0199a1b2 --json     JSON lines, one per change

Ctrl-C leaves the jobs running. The exit code is 1 if one of them failed or was
cancelled.")]
pub(crate) struct Watch {
    /// Job or experiment: an id, its first characters, or an experiment's name [default: your newest experiment]
    #[arg(add = ArgValueCompleter::new(complete::targets))]
    target: Option<String>,
}

impl Watch {
    pub(crate) async fn run(self, client: &Client, output: &Output) -> Result<Exit> {
        let target = or_newest(self.target, client, output).await?;
        let mut interrupt = follow::listen_to_interrupt()?;
        let followed = follow::until_done(client, &target, Patience::default(), &mut interrupt, |snapshot| {
            if output.is_json() {
                output.document(snapshot)?;
            }
            Ok(())
        })
        .await?;
        if followed.outcome == Outcome::Interrupted {
            output.note(&format!("the jobs go on; `tandem cancel {target}` ends them"));
        } else if !output.is_json() {
            output.text(&results::table(&followed.jobs, None, output.style(), time::now()))?;
        }
        Ok(followed.outcome.exit())
    }
}
