//! `tandem.v1.Fleet`.

use std::time::Duration;

use tandem_domain::policy::span;
use tandem_proto::{convert::timestamp, v1, v1::fleet_server::Fleet};
use tonic::{Request, Response, Status, async_trait};

use super::{Api, admission::check_texts, caller};
use crate::{
    convert,
    error::Error,
    query::status::status,
    release::release,
    sharing::withhold::{self, Withheld},
};

#[async_trait]
impl Fleet for Api {
    async fn status(&self, _: Request<v1::StatusRequest>) -> Result<Response<v1::StatusResponse>, Status> {
        let status = async {
            let mut conn = self.store.reader().await.map_err(Error::from)?;
            Ok(status(&mut conn).await?)
        };
        let status = self.admission.call(status).await?;
        Ok(Response::new(v1::StatusResponse {
            workers: status.workers.into_iter().map(convert::worker).collect(),
            queued: status.jobs.queued,
            blocked: status.jobs.blocked,
            paused: status.jobs.paused,
            running: status.jobs.running,
            server_version: env!("CARGO_PKG_VERSION").to_owned(),
            server_started_at: Some(timestamp(self.started_at)),
            leader: status.leader,
        }))
    }

    async fn release(&self, request: Request<v1::ReleaseRequest>) -> Result<Response<v1::ReleaseResponse>, Status> {
        let by = caller(&request)?;
        let worker = request.into_inner().worker;
        check_texts(&[("worker", &worker)])?;
        let release = async { Ok(release(&self.store, &by, &worker).await?) };
        let (worker, was_quarantined) = self.admission.call(release).await?;
        Ok(Response::new(v1::ReleaseResponse { worker: Some(convert::worker(worker)), was_quarantined }))
    }

    async fn hold(&self, request: Request<v1::HoldRequest>) -> Result<Response<v1::HoldResponse>, Status> {
        let who = caller(&request)?;
        let v1::HoldRequest { worker, seconds, reason, now } = request.into_inner();
        check_texts(&[("worker", &worker), ("reason", &reason)])?;
        let span = Duration::from_secs(seconds.min(span::LONGEST.as_secs()));
        let hold = async {
            let held = withhold::hold(&self.store, &who, &worker, span, &reason, now).await;
            Ok(self.noted(&who, "Fleet/Hold", &worker, held)?)
        };
        let Withheld { worker, running, stopping } = self.admission.call(hold).await?;
        Ok(Response::new(v1::HoldResponse { worker: Some(convert::worker(worker)), running, stopping }))
    }

    async fn unhold(&self, request: Request<v1::UnholdRequest>) -> Result<Response<v1::UnholdResponse>, Status> {
        let who = caller(&request)?;
        let worker = request.into_inner().worker;
        check_texts(&[("worker", &worker)])?;
        let unhold = async {
            let unheld = withhold::unhold(&self.store, &who, &worker).await;
            Ok(self.noted(&who, "Fleet/Unhold", &worker, unheld)?)
        };
        let (worker, was_held) = self.admission.call(unhold).await?;
        Ok(Response::new(v1::UnholdResponse { worker: Some(convert::worker(worker)), was_held }))
    }

    async fn drain(&self, request: Request<v1::DrainRequest>) -> Result<Response<v1::DrainResponse>, Status> {
        let who = caller(&request)?;
        let v1::DrainRequest { worker, reason, now } = request.into_inner();
        check_texts(&[("worker", &worker), ("reason", &reason)])?;
        let drain = async { Ok(withhold::drain(&self.store, &who, &worker, &reason, now).await?) };
        let Withheld { worker, running, stopping } = self.admission.call(drain).await?;
        Ok(Response::new(v1::DrainResponse { worker: Some(convert::worker(worker)), running, stopping }))
    }

    async fn undrain(&self, request: Request<v1::UndrainRequest>) -> Result<Response<v1::UndrainResponse>, Status> {
        let who = caller(&request)?;
        let worker = request.into_inner().worker;
        check_texts(&[("worker", &worker)])?;
        let undrain = async { Ok(withhold::undrain(&self.store, &who, &worker).await?) };
        let (worker, was_drained) = self.admission.call(undrain).await?;
        Ok(Response::new(v1::UndrainResponse { worker: Some(convert::worker(worker)), was_drained }))
    }
}
