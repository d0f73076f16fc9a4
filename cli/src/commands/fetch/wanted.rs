//! Which files are fetched, and where each goes.

use std::path::{Component, Path, PathBuf};

use anyhow::Result;
use tandem_proto::v1::{Artifact, Job, ShowResponse};

use crate::{
    download::Expected,
    exit::{Exit, Failure},
    printable,
};

#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) expected: Expected,
    pub(super) job: String,
    pub(super) kind: String,
    pub(super) path: PathBuf,
}

/// The artifacts of a kind that a job made.
fn of<'s>(shown: &'s ShowResponse, job: &Job, kind: Option<&str>) -> impl Iterator<Item = &'s Artifact> {
    let single = shown.jobs.len() == 1;
    shown
        .artifacts
        .iter()
        .filter(move |one| single || one.job_id == job.id)
        .filter(move |one| kind.is_none_or(|kind| kind == one.kind))
}

/// The names of the artifacts of a job that are in `folder`.
pub(super) fn names(shown: &ShowResponse, job: &Job, folder: &Path) -> Vec<String> {
    let is_there = |artifact: &&Artifact| plain(&artifact.name).is_ok_and(|name| folder.join(name).is_file());
    of(shown, job, None).filter(is_there).map(|artifact| artifact.name.clone()).collect()
}

/// The artifacts of a kind, of all jobs, each in the folder of its job.
pub(super) fn artifacts(shown: &ShowResponse, out: &Path, kind: Option<&str>) -> Result<Vec<Wanted>> {
    let mut wanted: Vec<Wanted> = Vec::new();
    for job in &shown.jobs {
        for artifact in of(shown, job, kind) {
            let path = folder(out, job)?.join(plain(&artifact.name)?);
            if wanted.iter().any(|other| other.path == path) {
                let named = path.display();
                return Err(Failure::error(Exit::Internal, format!("the coordinator named {named} twice")));
            }
            let (job, kind) = (job.name.clone(), artifact.kind.clone());
            wanted.push(Wanted { expected: Expected::of(artifact), job, kind, path });
        }
    }
    Ok(wanted)
}

/// The folder of a job.
pub(in crate::commands) fn folder(out: &Path, job: &Job) -> Result<PathBuf> {
    Ok(out.join(plain(&job.name)?))
}

/// A name from the coordinator must be one plain path component, so that it cannot leave the folder, and one that can be
/// shown.
pub(super) fn plain(name: &str) -> Result<&Path> {
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
