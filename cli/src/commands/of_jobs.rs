//! Questions that several commands ask about the same jobs.

use anyhow::Result;
use tandem_domain::receipt::Receipt;
use tandem_proto::{
    status::Code,
    v1::{DeviceReport, DevicesRequest, Job, ListRequest, ReceiptRequest},
};

use crate::{client::Client, signed::opened};

/// Questions that are under way at a time: a coordinator refuses who asks too much at once.
pub(crate) const AT_ONCE: usize = 4;

/// The jobs of a target, in whatever state, at most so many; and whether there are more.
pub(crate) async fn jobs_of(client: &Client, target: &str, most: usize) -> Result<(Vec<Job>, bool)> {
    let limit = u32::try_from(most).unwrap_or(u32::MAX).saturating_add(1);
    let request = ListRequest { limit, experiment: target.to_owned(), ..ListRequest::default() };
    let tried = format!("list the jobs of `{target}`");
    let mut jobs = client.ask(&tried, async |on| on.jobs().list(request.clone()).await).await?.jobs;
    let is_cut = jobs.len() > most;
    jobs.truncate(most);
    Ok((jobs, is_cut))
}

/// What produced a job's result, or why the house has no receipt of it.
pub(crate) async fn receipt_of(client: &Client, job: &str) -> Result<Result<Receipt, String>> {
    let request = ReceiptRequest { target: job.to_owned(), files: Vec::new() };
    match client.try_each(async |on| on.results().receipt(request.clone()).await).await {
        Ok(answer) => Ok(Ok(opened(&answer)?.0.predicate)),
        Err(refusal) => match refusal.code() {
            Some(Code::WrongState | Code::NotFound) => Ok(Err(refusal.message().to_owned())),
            _ => Err(client.error(&refusal, &format!("ask for the receipt of `{job}`")).await),
        },
    }
}

/// The devices that a job was given, each while it held it.
pub(crate) async fn devices_of(client: &Client, job: &str) -> Result<Vec<DeviceReport>> {
    let request = DevicesRequest { job: job.to_owned(), ..DevicesRequest::default() };
    let tried = format!("ask for the devices of `{job}`");
    Ok(client.ask(&tried, async |on| on.devices().show(request.clone()).await).await?.devices)
}
