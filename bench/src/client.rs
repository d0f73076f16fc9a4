//! What a user asks of a coordinator, by gRPC.

use anyhow::{Context, Result};
use tandem_harness::Coordinator;
use tandem_proto::v1::{CancelRequest, SubmitRequest, SubmitResponse, jobs_client::JobsClient};
use uuid::Uuid;

pub(crate) async fn submit(coordinator: &Coordinator, toml: String) -> Result<SubmitResponse> {
    let mut jobs = JobsClient::connect(coordinator.address.clone()).await?;
    let (owner, file_name, idempotency_key) = ("bench".into(), "bench.toml".into(), Uuid::new_v4().to_string());
    let request = SubmitRequest { toml, file_name, owner, idempotency_key, fresh: true, ..Default::default() };
    Ok(jobs.submit(request).await.context("the coordinator refused the experiment")?.into_inner())
}

pub(crate) async fn cancel(coordinator: &Coordinator, job: &str) -> Result<()> {
    let mut jobs = JobsClient::connect(coordinator.address.clone()).await?;
    jobs.cancel(CancelRequest { target: job.to_owned(), ..CancelRequest::default() }).await?;
    Ok(())
}
