//! `tandem fetch`: the files that jobs made, verified.

use std::path::{Component, Path, PathBuf};

use anyhow::Result;
use clap::Args;
use tandem_proto::v1::{Artifact, ShowRequest, ShowResponse};

use crate::{
    client::Client,
    download,
    exit::{Exit, Failure},
    files::{self, NewFile},
    json,
    output::Output,
    render::{table::Rows, units},
};

/// Fetch the files that a job or experiment made (weights as safetensors)
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tandem fetch quickstart --out weights      weights/encoder/..., weights/linear/...
  tandem fetch 0199a1b2 --kind encoder

Each file is checked against its SHA-256 and appears only when it is complete.")]
pub(crate) struct Fetch {
    /// Job or experiment: an id, its first characters, or an experiment's name
    target: String,
    /// The folder to put them in
    #[arg(long, value_name = "DIR", default_value = ".")]
    out: PathBuf,
    /// Only this kind: encoder, classifier, curve
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
        }
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
        let shown = self.show(client, &self.target).await?;
        let single = shown.jobs.len() == 1;
        let mut wanted = Vec::new();
        for job in &shown.jobs {
            // The coordinator names artifacts for a single job only.
            let artifacts = self.show(client, &job.id).await?.artifacts;
            for artifact in artifacts.into_iter().filter(|one| self.kind.as_ref().is_none_or(|kind| kind == &one.kind))
            {
                let dir = if single { self.out.clone() } else { self.out.join(plain(&job.name)?) };
                let path = dir.join(plain(&artifact.name)?);
                wanted.push(Wanted { artifact, job: job.name.clone(), path });
            }
        }
        if wanted.is_empty() {
            let kind = self.kind.as_ref().map(|kind| format!(" of kind `{kind}`")).unwrap_or_default();
            let reason =
                if shown.jobs.iter().all(|job| job.finished_at.is_some()) { "" } else { "; some jobs have not ended" };
            return Err(Failure::error(Exit::NotFound, format!("`{}` has no files{kind}{reason}", self.target)));
        }
        Ok(wanted)
    }

    async fn show(&self, client: &Client, target: &str) -> Result<ShowResponse> {
        let answer = client.jobs().show(ShowRequest { target: target.to_owned() }).await;
        Ok(answer.map_err(|status| client.refusal(&format!("fetch `{}`", self.target), &status))?.into_inner())
    }
}

/// A name from the coordinator must be one plain path component, so that it cannot leave the folder.
fn plain(name: &str) -> Result<&Path> {
    let path = Path::new(name);
    let mut components = path.components();
    match (components.next(), components.next()) {
        (Some(Component::Normal(_)), None) if !name.contains('\0') => Ok(path),
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
        for name in ["../x", "/etc/passwd", "a/b", "", ".", ".."] {
            assert!(plain(name).is_err(), "{name}");
        }
    }
}
