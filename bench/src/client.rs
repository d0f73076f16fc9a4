//! What a user asks of a coordinator, by gRPC over its socket.

use anyhow::{Context, Result};
use tandem_harness::Coordinator;
use tandem_proto::v1::{
    CancelRequest, NewTokenRequest, SubmitRequest, SubmitResponse, jobs_client::JobsClient, people_client::PeopleClient,
};
use tonic::transport::{Channel, Endpoint};
use uuid::Uuid;

pub(crate) async fn channel(coordinator: &Coordinator) -> Result<Channel> {
    let endpoint = Endpoint::try_from(format!("unix://{}", coordinator.socket.display()))?;
    endpoint.connect().await.context("the coordinator's socket does not answer")
}

/// Tokens of so many workers, which are called as given.
pub(crate) async fn worker_tokens(coordinator: &Coordinator, names: &[String]) -> Result<Vec<String>> {
    let mut people = PeopleClient::new(channel(coordinator).await?);
    let mut tokens = Vec::new();
    for name in names {
        let request = NewTokenRequest { name: name.clone(), role: "worker".into(), ..Default::default() };
        tokens.push(people.new_token(request).await.context("the coordinator made no token")?.into_inner().secret);
    }
    Ok(tokens)
}

pub(crate) async fn submit(coordinator: &Coordinator, toml: String) -> Result<SubmitResponse> {
    let mut jobs = JobsClient::new(channel(coordinator).await?);
    let (file_name, idempotency_key) = ("bench.toml".into(), Uuid::new_v4().to_string());
    let request = SubmitRequest { toml, file_name, idempotency_key, fresh: true, ..Default::default() };
    Ok(jobs.submit(request).await.context("the coordinator refused the experiment")?.into_inner())
}

pub(crate) async fn cancel(coordinator: &Coordinator, job: &str) -> Result<()> {
    let mut jobs = JobsClient::new(channel(coordinator).await?);
    jobs.cancel(CancelRequest { target: job.to_owned() }).await?;
    Ok(())
}
