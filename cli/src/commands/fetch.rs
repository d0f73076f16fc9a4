//! `tandem fetch`: the files that jobs made, verified.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Component, Path, PathBuf},
};

use anyhow::{Error, Result};
use clap::Args;
use clap_complete::engine::ArgValueCompleter;
use tandem_proto::v1::{Artifact, QueryRequest, ShowRequest, ShowResponse};

use crate::{
    client::Client,
    complete, download,
    exit::{Exit, Failure},
    fetched::prove,
    files::{self, NewFile},
    json,
    output::Output,
    printable,
    render::{older, table::Rows, units},
};

/// Fetch the files that a job or experiment made (weights as safetensors)
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tandem fetch quickstart --out weights   weights/encoder/ and so on
  tandem fetch 0199a1b2 --kind encoder

Each file is checked against its SHA-256 and appears only when it is complete.
Beside them: receipt.json, what produced them (`tandem receipt`), house.pub,
the key that signed it, and model.sig, which PyPI's model-signing verifies:
  model_signing verify key DIR --signature DIR/model.sig \\
    --public_key house.pub")]
pub(crate) struct Fetch {
    /// Job or experiment: an id, its first characters, or an experiment's name
    #[arg(add = ArgValueCompleter::new(complete::targets))]
    target: String,
    /// The folder to put them in
    #[arg(long, value_name = "DIR", default_value = ".")]
    out: PathBuf,
    /// Only this kind: encoder, classifier, curve, attack, adversarial, picture
    #[arg(long)]
    kind: Option<String>,
    /// Replace files that are there
    #[arg(long)]
    force: bool,
}

struct Wanted {
    artifact: Artifact,
    job: String,
    path: PathBuf,
}

impl Fetch {
    pub(crate) async fn run(self, client: &Client, output: &Output) -> Result<Exit> {
        let wanted = self.wanted(client).await?;
        for file in &wanted {
            files::check_free(&file.path, self.force)?;
            files::remove_leftovers(&file.path);
        }
        let folders = folders(&wanted);
        let mut fetched = Vec::new();
        for file in wanted {
            if let Some(parent) = file.path.parent() {
                files::make_dir(parent)?;
            }
            receive(client, &file, self.force).await?;
            fetched.push(json::FetchedFile {
                path: file.path.display().to_string(),
                job: file.job,
                kind: file.artifact.kind,
                bytes: file.artifact.bytes,
                sha256: file.artifact.sha256,
            });
        }
        for ((job, folder), names) in folders {
            prove(client, output, &job, &folder, names).await?;
        }
        if output.is_json() {
            output.document(&json::Fetched { files: fetched })?;
        } else {
            let mut rows = Rows::new(output.style(), &["FILE", "JOB", "KIND", "SIZE"]);
            for file in fetched {
                rows.row([file.path.into(), file.job.into(), file.kind.into(), units::bytes(file.bytes).into()]);
            }
            rows.right(3);
            output.text(&rows.to_string())?;
        }
        Ok(Exit::Ok)
    }

    /// The files and where they go: into the folder itself for one job, into one folder per job for an experiment.
    async fn wanted(&self, client: &Client) -> Result<Vec<Wanted>> {
        let request = ShowRequest { target: self.target.clone() };
        let shown = client.ask(&self.tried(), async |on| on.jobs().show(request.clone()).await).await?;
        let single = shown.jobs.len() == 1;
        let mut wanted = Vec::new();
        for job in &shown.jobs {
            let of_job = |one: &&Artifact| single || one.job_id == job.id;
            let of_kind = |one: &&Artifact| self.kind.as_ref().is_none_or(|kind| kind == &one.kind);
            for artifact in shown.artifacts.iter().filter(of_job).filter(of_kind) {
                let dir = if single { self.out.clone() } else { self.out.join(plain(&job.name)?) };
                let path = dir.join(plain(&artifact.name)?);
                wanted.push(Wanted { artifact: artifact.clone(), job: job.name.clone(), path });
            }
        }
        if wanted.is_empty() { Err(self.nothing(client, &shown).await?) } else { Ok(wanted) }
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
        let reason =
            if shown.jobs.iter().all(|job| job.finished_at.is_some()) { "" } else { "; some jobs have not ended" };
        let request = QueryRequest { target: target.clone(), limit: 1, ..QueryRequest::default() };
        let older = client.ask(&self.tried(), async |on| on.results().query(request.clone()).await).await?.older;
        let older = older.map(|older| older::hint("fetch", &older)).unwrap_or_default();
        Ok(Failure::error(Exit::NotFound, format!("`{target}` has no files{kind}{reason}{older}")))
    }
}

/// The names of what each folder gets of each job.
fn folders(wanted: &[Wanted]) -> BTreeMap<(String, PathBuf), Vec<String>> {
    let mut folders: BTreeMap<_, Vec<String>> = BTreeMap::new();
    for file in wanted {
        let folder = file.path.parent().map(Path::to_owned).unwrap_or_default();
        folders.entry((file.artifact.job_id.clone(), folder)).or_default().push(file.artifact.name.clone());
    }
    folders
}

/// A name from the coordinator must be one plain path component, so that it cannot leave the folder, and one that can be
/// shown.
fn plain(name: &str) -> Result<&Path> {
    let path = Path::new(name);
    let mut components = path.components();
    match (components.next(), components.next()) {
        (Some(Component::Normal(_)), None) if printable::is(name) => Ok(path),
        _ => Err(Failure::error(
            Exit::Internal,
            format!("the coordinator named a file `{}`, which is refused", name.escape_debug()),
        )),
    }
}

async fn receive(client: &Client, wanted: &Wanted, force: bool) -> Result<()> {
    let mut file = NewFile::create(&wanted.path)?;
    download::artifact(client, &wanted.artifact, |chunk| file.write(chunk)).await?;
    file.finish(force)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_leave_the_folder() {
        assert!(plain("encoder.safetensors").is_ok());
        assert!(plain("linear[label_fraction=0.1]").is_ok());
        for name in ["../x", "/etc/passwd", "a/b", "", ".", "..", "a\0b", "\u{1b}[31mred"] {
            assert!(plain(name).is_err(), "{name}");
        }
    }
}
