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
        results::{self, Question, Wanted},
        thinned::Thin,
    },
    target,
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
        let v1::MetricsRequest { target, names, points, extremes, from_step, most } = request.into_inner();
        check_texts(&[("target", &target)])?;
        check_texts(&names.iter().map(|name| ("names", name.as_str())).collect::<Vec<_>>())?;
        let metrics = async {
            let mut conn = self.store.reader().await.map_err(Error::from)?;
            // No step is larger than what the database counts to.
            let from = i64::try_from(from_step).unwrap_or(i64::MAX);
            let thin = match most {
                0 => Thin::new(points, extremes),
                most => Thin::Stretch { from, most: most as usize },
            };
            let wanted = Wanted { names: &names, thin };
            Ok(results::metrics(&mut conn, &target, &own, wanted).await?)
        };
        let curves = self.admission.call(metrics).await?;
        Ok(Response::new(v1::MetricsResponse { series: curves.into_iter().map(convert::series).collect() }))
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
