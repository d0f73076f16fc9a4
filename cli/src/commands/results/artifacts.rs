//! Downloads the CSV files of an attack.

use anyhow::{Context, Result};
use tandem_proto::v1::{Artifact, Job, ShowRequest};

use crate::{client::Client, download};

/// Kinds of artifacts: the curve by radius, and the table of attacked images.
pub(crate) const CURVE: &str = "curve";
pub(crate) const IMAGES: &str = "attack";

/// The artifacts of one job.
pub(crate) async fn of_job(client: &Client, job: &str) -> Result<Vec<Artifact>> {
    let request = ShowRequest { target: job.to_owned() };
    Ok(client.ask("ask for the files of a job", async |on| on.jobs().show(request.clone()).await).await?.artifacts)
}

/// The text of the CSV file of a kind; `None` if the job made none.
pub(crate) async fn table(client: &Client, job: &Job, artifacts: &[Artifact], kind: &str) -> Result<Option<String>> {
    let Some(artifact) = artifacts.iter().find(|one| one.kind == kind && one.name.ends_with(".csv")) else {
        return Ok(None);
    };
    let mut bytes = Vec::new();
    download::artifact(client, artifact, |chunk| {
        bytes.extend_from_slice(chunk);
        Ok(())
    })
    .await?;
    String::from_utf8(bytes).map(Some).with_context(|| format!("{} of `{}` is no text", artifact.name, job.name))
}
