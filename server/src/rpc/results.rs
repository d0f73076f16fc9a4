//! `tandem.v1.Results`.

use tandem_proto::{v1, v1::results_server::Results};
use tokio::sync::mpsc;
use tokio_stream::StreamExt;
use tonic::{Request, Response, Status, async_trait};

use super::{Answers, Api, admission::check_texts, answers, caller};
use crate::{
    convert,
    error::Error,
    query::{
        fetch,
        results::{self, Question},
    },
    receipts, store, target,
};

#[async_trait]
impl Results for Api {
    async fn query(&self, request: Request<v1::QueryRequest>) -> Result<Response<v1::QueryResponse>, Status> {
        let own = caller(&request)?.name;
        let request = request.into_inner();
        let question = Question {
            own: &own,
            target: &request.target,
            stage: &request.stage,
            best: &request.best,
            ascending: request.ascending,
            limit: request.limit,
        };
        check_texts(&[("target", question.target), ("stage", question.stage), ("best", question.best)])?;
        let query = async {
            let mut conn = self.store.reader().await.map_err(Error::from)?;
            let rows = results::query(&mut conn, question).await?;
            let older = match request.target.as_str() {
                text if rows.is_empty() && !text.is_empty() => {
                    target::older_with_results(&mut conn, text, &own).await?
                }
                _ => None,
            };
            Ok((rows, older))
        };
        let (rows, older) = self.admission.call(query).await?;
        Ok(Response::new(v1::QueryResponse { jobs: convert::jobs(rows)?, older: older.map(convert::submission) }))
    }

    async fn metrics(&self, request: Request<v1::MetricsRequest>) -> Result<Response<v1::MetricsResponse>, Status> {
        let own = caller(&request)?.name;
        let v1::MetricsRequest { target, names, points } = request.into_inner();
        check_texts(&[("target", &target)])?;
        check_texts(&names.iter().map(|name| ("names", name.as_str())).collect::<Vec<_>>())?;
        let metrics = async {
            let mut conn = self.store.reader().await.map_err(Error::from)?;
            Ok(results::metrics(&mut conn, &target, &own, &names, points).await?)
        };
        let curves = self.admission.call(metrics).await?;
        Ok(Response::new(v1::MetricsResponse { series: curves.into_iter().map(convert::series).collect() }))
    }

    async fn receipt(&self, request: Request<v1::ReceiptRequest>) -> Result<Response<v1::ReceiptResponse>, Status> {
        let own = caller(&request)?.name;
        let v1::ReceiptRequest { target, files } = request.into_inner();
        check_texts(&[("target", &target)])?;
        check_texts(&files.iter().map(|name| ("files", name.as_str())).collect::<Vec<_>>())?;
        let answer = async {
            // It may have succeeded just now.
            self.receipts.make_due().await?;
            let mut conn = self.store.reader().await.map_err(Error::from)?;
            let job = target::one_job(&mut conn, &target, &own).await?;
            Ok((job, receipts::answer(&self.receipts, &mut conn, job, &files).await?))
        };
        let (job, answer) = self.admission.call(answer).await?;
        Ok(Response::new(convert::receipt(job, answer)))
    }

    async fn reproduce(
        &self,
        request: Request<v1::ReproduceRequest>,
    ) -> Result<Response<v1::ReproduceResponse>, Status> {
        let by = caller(&request)?;
        let v1::ReproduceRequest { target, replay } = request.into_inner();
        check_texts(&[("target", &target)])?;
        let again = async {
            self.receipts.make_due().await?;
            let of = {
                let mut conn = self.store.reader().await.map_err(Error::from)?;
                target::one_job(&mut conn, &target, &by.name).await?
            };
            Ok(receipts::again(&self.store, &self.dispatcher.folder, &by, of, replay).await?)
        };
        Ok(Response::new(convert::again(self.admission.call(again).await?)))
    }

    async fn receipt_keys(
        &self,
        _request: Request<v1::ReceiptKeysRequest>,
    ) -> Result<Response<v1::ReceiptKeysResponse>, Status> {
        let keys = async {
            let mut conn = self.store.reader().await.map_err(Error::from)?;
            Ok(store::receipts::keys(&mut conn).await.map_err(Error::from)?)
        };
        let keys = self.admission.call(keys).await?;
        Ok(Response::new(v1::ReceiptKeysResponse { keys: keys.into_iter().map(convert::receipt_key).collect() }))
    }

    type FetchStream = Answers<v1::FetchResponse>;

    async fn fetch(&self, request: Request<v1::FetchRequest>) -> Result<Response<Self::FetchStream>, Status> {
        let place = self.admission.stream()?;
        let id = request.into_inner().artifact_id;
        check_texts(&[("artifact_id", &id)])?;
        let find = async {
            let mut conn = self.store.reader().await.map_err(Error::from)?;
            Ok(fetch::find(&mut conn, &id).await?)
        };
        let artifact = self.admission.call(find).await?;
        let open = match fetch::open(&self.dispatcher.folder.root, &artifact).await {
            Ok(open) => open,
            // A store that is away says nothing about the file.
            Err(damaged @ Error::Damaged(_)) => {
                let seen = self.dispatcher.folder.is_seen().await;
                return Err(seen.map_or_else(Error::StoreAway, |()| damaged).into());
            }
            Err(error) => return Err(error.into()),
        };
        let (sender, receiver) = mpsc::channel(4);
        self.streams.spawn(fetch::send(open, sender, self.closing.clone()));
        let name = v1::FetchResponse { artifact: Some(convert::artifact(artifact)), chunk: Vec::new() };
        let chunks = answers(receiver, place, |chunk: tokio_util::bytes::Bytes| {
            Ok(v1::FetchResponse { artifact: None, chunk: chunk.to_vec() })
        });
        Ok(Response::new(Box::pin(tokio_stream::once(Ok(name)).chain(chunks))))
    }
}
