//! The newest checkpoint of a job that is still there.
//!
//! A checkpoint is one file, or a folder with a manifest that names its files; the row's SHA-256 is of that file or manifest.

use std::path::Path;

use anyhow::Result;
use serde::Deserialize;
use tandem_proto::v1::{Checkpoint, CheckpointFile, FetchRequest, Job, ShowRequest};

use super::wanted::{Wanted, plain};
use crate::{
    client::Client,
    download::{self, Arrived, Expected},
    exit::{Exit, Failure, classify},
    output::Output,
};

/// What `--kind` calls them.
pub(super) const KIND: &str = "checkpoint";
/// A job keeps three; where the newest of them cannot be had, an older one is as good as it gets.
const TRIED: usize = 3;
const MANIFEST: &str = "manifest.json";
/// A manifest names a handful of files.
const MANIFEST_BYTES_MAX: u64 = 1 << 20;
const REMEDY: &str = "An older checkpoint may be whole";

#[derive(Deserialize)]
struct Manifest {
    files: Vec<ManifestFile>,
}

#[derive(Deserialize)]
struct ManifestFile {
    name: String,
    sha256: String,
    bytes: u64,
}

/// The files of the newest checkpoint of `job` that can be had; none if it has written none.
pub(super) async fn newest(client: &Client, output: &Output, job: &Job, out: &Path) -> Result<Vec<Wanted>> {
    let request = ShowRequest { target: job.id.clone() };
    let tried = format!("fetch the checkpoint of `{}`", job.name);
    let shown = client.ask(&tried, async |on| on.jobs().show(request.clone()).await).await?;
    let mut checkpoints = shown.checkpoints;
    checkpoints.sort_by_key(|checkpoint| std::cmp::Reverse(checkpoint.step));
    let mut last = None;
    for checkpoint in checkpoints.iter().filter(|one| !one.removed).take(TRIED) {
        match files_of(client, job, checkpoint, out).await {
            Ok(files) => return Ok(files),
            Err(error) => {
                let (exit, said) = classify(&error);
                if exit != Exit::Damaged {
                    return Err(error);
                }
                output.note(&format!("tandem: {}", said.unwrap_or_default()));
                last = Some(error);
            }
        }
    }
    last.map_or_else(|| Ok(Vec::new()), Err)
}

async fn files_of(client: &Client, job: &Job, checkpoint: &Checkpoint, out: &Path) -> Result<Vec<Wanted>> {
    let step = checkpoint.step;
    // Beside the job's own folder: what is signed there is what the job made, and nothing else.
    let folder = out.join(format!("{}.checkpoint-{step:08}", plain(&job.name)?.display()));
    let wanted = |name: &str, asked: &str, bytes, sha256: &str| -> Result<Wanted> {
        let file = CheckpointFile { job_id: job.id.clone(), step, file: asked.to_owned() };
        Ok(Wanted {
            expected: Expected {
                request: FetchRequest { checkpoint: Some(file), ..FetchRequest::default() },
                name: format!("{name} of `{}`, step {step}", job.name),
                bytes,
                sha256: sha256.to_owned(),
                remedy: REMEDY,
            },
            job: job.name.clone(),
            kind: KIND.to_owned(),
            path: folder.join(plain(name)?),
        })
    };
    let own = checkpoint.path.rsplit('/').next().unwrap_or_default();
    if Path::new(own).extension().is_some() {
        return Ok(vec![wanted(own, "", checkpoint.bytes, &checkpoint.sha256)?]);
    }
    let mut manifest = wanted(MANIFEST, "", checkpoint.bytes.min(MANIFEST_BYTES_MAX), &checkpoint.sha256)?;
    let mut text = Vec::new();
    let each = |bytes: &[u8]| {
        text.extend_from_slice(bytes);
        Ok(())
    };
    download::rest(client, &manifest.expected, Arrived::default(), each).await?;
    manifest.expected.bytes = text.len() as u64;
    let unread = |error: serde_json::Error| {
        let message = format!("cannot read {MANIFEST} of `{}`, step {step}: {error}", job.name);
        Failure::error(Exit::Damaged, message)
    };
    let listed: Manifest = serde_json::from_slice(&text).map_err(unread)?;
    let mut files = vec![manifest];
    for file in listed.files {
        files.push(wanted(&file.name, &file.name, file.bytes, &file.sha256)?);
    }
    Ok(files)
}
