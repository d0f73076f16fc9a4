//! `tandem.v1.Notify`.

use tandem_proto::{
    convert::timestamp,
    v1::{self, notify_server::Notify},
};
use tonic::{Request, Response, Status, async_trait};

use super::{Api, admission::check_texts, caller};
use crate::{
    store::notify_targets::TargetRow,
    telling::targets::{self, Wish},
};

#[async_trait]
impl Notify for Api {
    async fn list(&self, request: Request<v1::ListNotifyRequest>) -> Result<Response<v1::ListNotifyResponse>, Status> {
        let by = caller(&request)?;
        let list = async { Ok(targets::list(&self.store, &by).await?) };
        let rows = self.admission.call(list).await?;
        Ok(Response::new(v1::ListNotifyResponse { targets: rows.into_iter().map(target).collect() }))
    }

    async fn set(&self, request: Request<v1::SetNotifyRequest>) -> Result<Response<v1::SetNotifyResponse>, Status> {
        let by = caller(&request)?;
        let v1::SetNotifyRequest { kind, address, on, all } = request.into_inner();
        check_texts(&[("kind", &kind), ("address", &address), ("on", &on)])?;
        let set = async {
            let wish = Wish { kind, address, on, all };
            let set = targets::set(&self.store, &self.courier, &by, &wish).await;
            Ok(self.noted(&by, "Notify/Set", &wish.kind, set)?)
        };
        let (row, secret) = self.admission.call(set).await?;
        Ok(Response::new(v1::SetNotifyResponse { target: Some(target(row)), secret: secret.unwrap_or_default() }))
    }

    async fn remove(
        &self,
        request: Request<v1::RemoveNotifyRequest>,
    ) -> Result<Response<v1::RemoveNotifyResponse>, Status> {
        let by = caller(&request)?;
        let id = request.into_inner().id;
        check_texts(&[("id", &id)])?;
        let remove = async { Ok(targets::remove(&self.store, &by, &id).await?) };
        let row = self.admission.call(remove).await?;
        Ok(Response::new(v1::RemoveNotifyResponse { target: Some(target(row)) }))
    }

    async fn test(&self, request: Request<v1::TestNotifyRequest>) -> Result<Response<v1::TestNotifyResponse>, Status> {
        let by = caller(&request)?;
        let id = request.into_inner().id;
        check_texts(&[("id", &id)])?;
        let test = async { Ok(targets::test(&self.store, &by, &id).await?) };
        let (state, error) = self.admission.call(test).await?;
        Ok(Response::new(v1::TestNotifyResponse { state, error }))
    }
}

fn target(row: TargetRow) -> v1::NotifyTarget {
    v1::NotifyTarget {
        on: row.wants().to_string(),
        id: row.id,
        kind: row.kind,
        address: row.address,
        all: row.of_all,
        made_at: Some(timestamp(row.made_at)),
        pending: u32::try_from(row.pending).unwrap_or(u32::MAX),
        last_sent: row.last_sent.map(timestamp),
        last_error: row.last_error,
    }
}
