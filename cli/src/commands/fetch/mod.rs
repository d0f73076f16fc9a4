//! `tandem fetch`: the files that jobs made, verified.
//!
//! [`wanted`] says which files, [`checkpoints`] which of the newest checkpoint, [`present`] which of them are there already;
//! [`receive`] brings the others, and goes on where an earlier run broke off.

mod checkpoints;
mod present;
mod receive;
pub(super) mod wanted;

use std::{collections::BTreeSet, path::PathBuf};

use anyhow::{Error, Result};
use clap::Args;
use clap_complete::engine::ArgValueCompleter;
use tandem_proto::v1::{Job, JobState, QueryRequest, ShowRequest, ShowResponse};

use crate::{
    client::Client,
    complete,
    exit::{Exit, Failure, classify},
    fetched::prove,
    json,
    output::Output,
    printable,
    render::{older, state, table::Rows, units},
};
use present::Present;

/// Fetch the files that a job or experiment made (weights as safetensors)
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tandem fetch quickstart --out weights   weights/encoder/ and so on
  tandem fetch 0199a1b2 --kind encoder
  tandem fetch broken --checkpoint        what failed, as far as it came

Each job has a folder of its own. Each file is checked against its SHA-256 and
appears only when it is complete. What is there already, the same to the bit,
is not fetched again; what broke off goes on where it was.
Beside them: receipt.json, what produced them (`tandem receipt`), house.pub,
the key that signed it, and model.sig, which PyPI's model-signing verifies:
  model_signing verify key weights/encoder \\
    --signature weights/encoder/model.sig --public_key house.pub")]
pub(crate) struct Fetch {
    /// Job or experiment: an id, its first characters, or an experiment's name
    #[arg(add = ArgValueCompleter::new(complete::targets))]
    target: String,
    /// The folder to put the jobs' folders in
    #[arg(long, value_name = "DIR", default_value = ".")]
    out: PathBuf,
    /// Only this kind: encoder, classifier, predictions, curve, attack, adversarial, embedding,
    /// picture, checkpoint
    #[arg(long)]
    kind: Option<String>,
    /// Also the newest checkpoint of each job, whether it succeeded, failed or runs
    #[arg(long)]
    checkpoint: bool,
    /// Replace files that are there and differ
    #[arg(long)]
    force: bool,
}

impl Fetch {
    pub(crate) async fn run(self, client: &Client, output: &Output) -> Result<Exit> {
        tokio::select! {
            fetched = self.fetch(client, output) => fetched,
            interrupted = tokio::signal::ctrl_c() => {
                interrupted?;
                output.note("tandem: interrupted; what has arrived is kept, the same command goes on from there");
                Ok(Exit::Interrupted)
            }
        }
    }

    async fn fetch(&self, client: &Client, output: &Output) -> Result<Exit> {
        let request = ShowRequest { target: self.target.clone() };
        let shown = client.ask(&self.tried(), async |on| on.jobs().show(request.clone()).await).await?;
        let mut wanted = wanted::artifacts(&shown, &self.out, self.kind.as_deref())?;
        if self.checkpoint || self.kind.as_deref() == Some(checkpoints::KIND) {
            for job in &shown.jobs {
                wanted.extend(checkpoints::newest(client, output, job, &self.out).await?);
            }
        }
        if wanted.is_empty() {
            return Err(self.nothing(client, &shown).await?);
        }
        let present = present::all(&wanted, self.force)?;
        let (mut fetched, count) = (Vec::new(), wanted.len());
        let mut damaged = 0;
        for (file, present) in wanted.into_iter().zip(present) {
            if present != Present::Same {
                match receive::file(client, output, &file, self.force).await {
                    Ok(()) => {}
                    // The others may be whole.
                    Err(error) if classify(&error).0 == Exit::Damaged => {
                        output.note(&format!("tandem: {error:#}"));
                        damaged += 1;
                        continue;
                    }
                    Err(error) => return Err(error),
                }
            }
            fetched.push(json::FetchedFile {
                path: file.path.display().to_string(),
                job: file.job,
                kind: file.kind,
                bytes: file.expected.bytes,
                sha256: file.expected.sha256,
                was_there: present == Present::Same,
            });
        }
        for job in &shown.jobs {
            // Also what an earlier run has put there: the folder is signed as a whole.
            let folder = wanted::folder(&self.out, job)?;
            let names = wanted::names(&shown, job, &folder);
            if !names.is_empty() {
                prove(client, output, &job.id, &folder, names).await?;
            }
        }
        self.say(&shown, fetched, output)?;
        match damaged {
            0 => Ok(Exit::Ok),
            missing => Err(Failure::error(
                Exit::Damaged,
                format!("{missing} of {count} files are damaged in the store, and not here; the others are"),
            )),
        }
    }

    fn say(&self, shown: &ShowResponse, fetched: Vec<json::FetchedFile>, output: &Output) -> Result<()> {
        let without: Vec<&Job> = shown
            .jobs
            .iter()
            .filter(|job| job.state() != JobState::Succeeded && !fetched.iter().any(|file| file.job == job.name))
            .collect();
        if output.is_json() {
            let missing =
                without.iter().map(|job| json::Missing { job: &job.name, state: state::job(job.state()) }).collect();
            return output.document(&json::Fetched { files: fetched, missing });
        }
        let same = fetched.iter().filter(|file| file.was_there).count();
        let mut rows = Rows::new(output.style(), &["FILE", "JOB", "KIND", "SIZE"]);
        for file in fetched.iter().filter(|file| !file.was_there) {
            rows.row([
                file.path.as_str().into(),
                file.job.as_str().into(),
                file.kind.as_str().into(),
                units::bytes(file.bytes).into(),
            ]);
        }
        rows.right(3);
        if same < fetched.len() {
            output.text(&rows.to_string())?;
        }
        if same > 0 {
            output.note(&format!("{} there already, the same to the bit", files_are(same)));
        }
        if !without.is_empty() {
            output.note(&nothing_of(&without));
        }
        Ok(())
    }

    fn tried(&self) -> String {
        format!("fetch `{}`", self.target)
    }

    /// The error where there are no files: why, and where some are.
    async fn nothing(&self, client: &Client, shown: &ShowResponse) -> Result<Error> {
        let target = &self.target;
        let kinds: BTreeSet<&str> = shown.artifacts.iter().map(|artifact| artifact.kind.as_str()).collect();
        let kind = match &self.kind {
            Some(kind) if kinds.is_empty() => format!(" of kind `{kind}`"),
            Some(kind) => {
                let kinds: Vec<&str> = kinds.into_iter().collect();
                format!(" of kind `{kind}`; there are {}", printable::line(&kinds.join(", ")))
            }
            None => String::new(),
        };
        let without: Vec<&Job> = shown.jobs.iter().filter(|job| job.state() != JobState::Succeeded).collect();
        let reason = if without.is_empty() { String::new() } else { format!(". {}", nothing_of(&without)) };
        let request = QueryRequest { target: target.clone(), limit: 1, ..QueryRequest::default() };
        let older = client.ask(&self.tried(), async |on| on.results().query(request.clone()).await).await?.older;
        let older = older.map(|older| older::hint("fetch", &older)).unwrap_or_default();
        Ok(Failure::error(Exit::NotFound, format!("`{target}` has no files{kind}{reason}{older}")))
    }
}

/// `1 file was`, `3 files were`
fn files_are(count: usize) -> String {
    if count == 1 { "1 file was".to_owned() } else { format!("{count} files were") }
}

/// How many names are said; the others are counted.
const NAMED: usize = 4;

/// Which jobs have no files, and when or how there will be some.
fn nothing_of(jobs: &[&Job]) -> String {
    let named: Vec<String> =
        jobs.iter().take(NAMED).map(|job| format!("`{}` ({})", job.name, state::job(job.state()))).collect();
    let more = jobs.len().saturating_sub(NAMED);
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    let waits = jobs.iter().any(|job| !state::has_ended(job.state()));
    let advice = match (waits, jobs.iter().any(|job| state::has_ended(job.state()))) {
        (true, false) => "the same command fetches what they make when they end",
        (false, _) => "--checkpoint fetches how far they came",
        (true, true) => "the same command fetches more when they end, --checkpoint how far they came",
    };
    format!("no files of {}{more}: {advice}", named.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_said_with_what_to_do() {
        let job = |name: &str, state: JobState| Job { name: name.to_owned(), state: state.into(), ..Job::default() };
        let jobs: Vec<Job> = ["a", "b", "c", "d", "e", "f"].map(|name| job(name, JobState::Running)).into();
        let all: Vec<&Job> = jobs.iter().collect();
        assert_eq!(
            nothing_of(&all),
            "no files of `a` (running), `b` (running), `c` (running), `d` (running) and 2 more: the same command fetches \
             what they make when they end"
        );
        let failed = job("z", JobState::Failed);
        assert_eq!(nothing_of(&[&failed]), "no files of `z` (failed): --checkpoint fetches how far they came");
        assert!(nothing_of(&[&failed, &jobs[0]]).contains("when they end, --checkpoint"));
    }
}
