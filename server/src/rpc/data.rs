//! `tandem.v1.Data`.

use std::time::Duration;

use tandem_domain::datasets::Wanted;
use tandem_proto::{
    convert::timestamp,
    v1::{self, data_server::Data, put_request, put_response},
};
use tokio::{sync::mpsc, time::timeout};
use tokio_stream::StreamExt;
use tokio_util::bytes::Bytes;
use tonic::{Request, Response, Status, Streaming, async_trait};

use super::{Answers, Api, admission::check_texts, answers, caller};
use crate::{
    datasets::{
        arrival::{self, House, Told},
        shelf,
    },
    error::Error,
    store::{
        datasets::{self as rows, DatasetRow},
        unsigned,
    },
};

/// How long who puts a data set may take to say which.
const BEGIN_WITHIN: Duration = Duration::from_secs(20);
/// Answers that may wait for a client: it is told again soon how far it is.
const ANSWERS: usize = 16;

#[async_trait]
impl Data for Api {
    async fn list(&self, request: Request<v1::ListDataRequest>) -> Result<Response<v1::ListDataResponse>, Status> {
        let own = caller(&request)?.name;
        let list = async {
            let mut conn = self.store.reader().await.map_err(Error::from)?;
            let all = rows::list(&mut conn, None).await.map_err(Error::from)?;
            let [used, ..] = rows::used(&mut conn, &own, "").await.map_err(Error::from)?;
            Ok((all, unsigned(used)))
        };
        let (all, used_bytes) = self.admission.call(list).await?;
        let datasets = all.into_iter().map(dataset).collect();
        Ok(Response::new(v1::ListDataResponse { datasets, limit_bytes: self.data_limit, used_bytes }))
    }

    type PutStream = Answers<v1::PutResponse>;

    async fn put(&self, request: Request<Streaming<v1::PutRequest>>) -> Result<Response<Self::PutStream>, Status> {
        let by = caller(&request)?;
        let (place, arrives) = (self.admission.stream()?, self.admission.arrival(&by.name)?);
        let mut pieces = request.into_inner();
        let first = timeout(BEGIN_WITHIN, pieces.message()).await;
        let first = first.map_err(|_| Error::Invalid(format!("nothing arrived within {BEGIN_WITHIN:?}")))??;
        let Some(put_request::Message::Begin(begin)) = first.and_then(|first| first.message) else {
            return Err(Error::Invalid("the first message of a Put says what follows: expected `begin`".into()).into());
        };
        check_texts(&[("name", &begin.name), ("sha256", &begin.sha256)])?;
        let wanted = Wanted { name: begin.name, sha256: begin.sha256, bytes: begin.bytes };
        let house = House {
            store: self.store.clone(),
            folder: self.dispatcher.folder.clone(),
            limit: self.data_limit,
            closing: self.closing.clone(),
        };
        let pieces = pieces.map(|piece| match piece.map(|piece| piece.message) {
            Ok(Some(put_request::Message::Chunk(chunk))) => Ok(Bytes::from(chunk)),
            Ok(_) => Err(Error::Invalid("expected a chunk of the data set".to_owned())),
            // Who has gone comes back, and goes on.
            Err(status) => Err(Error::StoreAway(format!("the stream broke: {}", status.message()))),
        });
        let (told, receiver) = mpsc::channel(ANSWERS);
        self.streams.spawn(async move {
            let _held = arrives;
            arrival::receive(house, by, wanted, pieces, told).await;
        });
        Ok(Response::new(answers(receiver, place, |told| Ok(v1::PutResponse { message: Some(message(told)) }))))
    }

    async fn remove(
        &self,
        request: Request<v1::RemoveDataRequest>,
    ) -> Result<Response<v1::RemoveDataResponse>, Status> {
        let by = caller(&request)?;
        let name = request.into_inner().name;
        check_texts(&[("name", &name)])?;
        let remove = async {
            let removed = shelf::remove(&self.store, &self.dispatcher.folder, &by, &name).await;
            Ok(self.noted(&by, "Data/Remove", &format!("folder:{name}"), removed)?)
        };
        let row = self.admission.call(remove).await?;
        Ok(Response::new(v1::RemoveDataResponse { dataset: Some(dataset(row)) }))
    }
}

fn message(told: Told) -> put_response::Message {
    match told {
        Told::SendFrom(bytes) => put_response::Message::SendFrom(bytes),
        Told::Arrived(bytes) => put_response::Message::Arrived(bytes),
        Told::Checked(bytes) => put_response::Message::Checked(bytes),
        Told::Done { row, present } => {
            put_response::Message::Done(v1::PutDone { dataset: Some(dataset(row)), present })
        }
    }
}

fn dataset(row: DatasetRow) -> v1::StoredDataset {
    let count = |count: Option<i64>| count.map_or(0, unsigned);
    v1::StoredDataset {
        name: row.name,
        owner: row.owner,
        sha256: row.sha256,
        bytes: unsigned(row.bytes),
        arrived: unsigned(row.arrived),
        stored: row.stored_at.is_some(),
        at: Some(timestamp(row.stored_at.unwrap_or(row.touched_at))),
        classes: count(row.classes),
        train: count(row.train),
        test: count(row.test),
    }
}
