//! `tandem delete`: takes back what one wants, for good.

use anyhow::Result;
use clap::Args;
use clap_complete::engine::ArgValueCompleter;
use tandem_proto::v1::{DeleteRequest, DeleteResponse};

use crate::{
    client::Client,
    complete,
    exit::{Exit, Failure},
    output::Output,
    prompt,
    render::deleted,
};

/// Delete an experiment or a job: what nobody else wants goes, with its files
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tandem delete quickstart --dry-run    what would go, and what stays and why
  tandem delete quickstart
  tandem delete 0199a1b2 --yes          from a script: nobody is asked
  tandem delete quickstart --cancel     although some of it has not ended

You take back what you want. A job that another experiment has, too, stays with
it; so does one that something starts from. What goes is in no list, serves no
later submit, and its files are removed; the audit keeps who deleted it. Nothing
brings it back. Out of the lists only: tandem archive.")]
pub(crate) struct Delete {
    /// Job or experiment: an id, its first characters, or an experiment's name
    #[arg(add = ArgValueCompleter::new(complete::targets))]
    target: String,
    /// Say what would go, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
    /// Cancel first what has not ended and nobody else wants
    #[arg(long)]
    cancel: bool,
    /// A job that only others want, for all of them (admins)
    #[arg(long)]
    for_all: bool,
}

impl Delete {
    pub(crate) async fn run(self, client: &Client, output: &Output) -> Result<Exit> {
        if !self.dry_run && !self.yes && (!prompt::is_terminal() || output.is_json()) {
            let message = format!(
                "nobody is there to be asked; look at it by `tandem delete {} --dry-run`, and give --yes",
                self.target
            );
            return Err(Failure::error(Exit::Usage, message));
        }
        let would = self.ask(client, &self.target, true).await?;
        if self.dry_run {
            return told(&would, output);
        }
        if !self.yes {
            output.text(&deleted::page(&would, output.style()))?;
            if !prompt::confirms("Delete it for good?").await? {
                output.note("nothing was deleted");
                return Ok(Exit::Ok);
            }
        }
        let mut done = DeleteResponse::default();
        // By its id: a name that is sent once more, because an answer was lost, would mean the next experiment of that name.
        for id in &would.targets {
            let one = self.ask(client, id, false).await?;
            done.experiments.extend(one.experiments);
            done.gone.extend(one.gone);
            done.stays.extend(one.stays);
            done.targets.extend(one.targets);
            (done.files, done.bytes) = (done.files + one.files, done.bytes + one.bytes);
        }
        told(&done, output)
    }

    async fn ask(&self, client: &Client, target: &str, dry_run: bool) -> Result<DeleteResponse> {
        let tried = format!("delete `{target}`");
        let (cancel, for_all) = (self.cancel, self.for_all);
        let request = DeleteRequest { target: target.to_owned(), dry_run, cancel, for_all };
        client.ask(&tried, async |on| on.keeping().delete(request.clone()).await).await
    }
}

fn told(answer: &DeleteResponse, output: &Output) -> Result<Exit> {
    if output.is_json() {
        output.document(answer)?;
    } else {
        output.text(&deleted::page(answer, output.style()))?;
    }
    Ok(Exit::Ok)
}
