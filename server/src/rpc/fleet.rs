//! `tandem.v1.Fleet`.

use tandem_proto::{convert::timestamp, v1, v1::fleet_server::Fleet};
use tonic::{Request, Response, Status, async_trait};

use super::{Api, admission::check_texts, caller};
use crate::{convert, error::Error, query::status::status, release::release};

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
}
