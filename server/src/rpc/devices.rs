//! `tandem.v1.Devices`.

use chrono::{TimeDelta, Utc};
use tandem_proto::{
    convert::{optional_moment, timestamp},
    v1,
    v1::devices_server::Devices,
};
use tonic::{Request, Response, Status, async_trait};

use super::{Api, admission::check_texts, caller};
use crate::{convert_device as convert, error::Error, query::devices, store::usage};

/// Without a `since`, and at most.
const USAGE_DAYS: TimeDelta = TimeDelta::days(30);
const USAGE_DAYS_MAX: TimeDelta = TimeDelta::days(400);

#[async_trait]
impl Devices for Api {
    async fn show(&self, request: Request<v1::DevicesRequest>) -> Result<Response<v1::DevicesResponse>, Status> {
        let by = caller(&request)?;
        let v1::DevicesRequest { worker, job } = request.into_inner();
        check_texts(&[("worker", &worker), ("job", &job)])?;
        if !worker.is_empty() && !job.is_empty() {
            return Err(Error::Invalid("name a worker or a job, not both".to_owned()).into());
        }
        let show = async {
            let mut conn = self.store.reader().await.map_err(Error::from)?;
            if job.is_empty() {
                let worker = (!worker.is_empty()).then_some(worker.as_str());
                let devices = devices::now(&mut conn, worker).await?;
                return Ok((String::new(), String::new(), devices));
            }
            let (id, name, devices) = devices::of_job(&mut conn, &job, &by.name).await?;
            Ok((id.to_string(), name, devices))
        };
        let (job_id, job_name, devices) = self.admission.call(show).await?;
        let devices = devices.into_iter().map(convert::report).collect();
        Ok(Response::new(v1::DevicesResponse { devices, job_id, job_name }))
    }

    async fn usage(&self, request: Request<v1::UsageRequest>) -> Result<Response<v1::UsageResponse>, Status> {
        let since = optional_moment("since", request.into_inner().since)?;
        let now = Utc::now();
        let since = since.unwrap_or(now - USAGE_DAYS).max(now - USAGE_DAYS_MAX);
        let usage = async {
            let mut conn = self.store.reader().await.map_err(Error::from)?;
            Ok(usage::since(&mut conn, since).await.map_err(Error::from)?)
        };
        let usage = self.admission.call(usage).await?.into_iter().map(convert::usage).collect();
        Ok(Response::new(v1::UsageResponse { usage, since: Some(timestamp(since)) }))
    }
}
