//! `tandem.v1.Results`.

use std::time::Duration;

use tandem_proto::v1::{self, import_request, results_server::Results};
use tokio::{sync::mpsc, time::timeout};
use tokio_stream::StreamExt;
use tonic::{Request, Response, Status, Streaming, async_trait};
use uuid::Uuid;

use super::{
    Answers, Api,
    admission::{check_nul, check_texts},
    answers, caller,
};
use crate::{
    convert, convert_asked,
    error::Error,
    imports::{House, import},
    query::{
        asked,
        fetch::{self, Open},
        results::{self, Question, Wanted},
        thinned::Thin,
        views,
    },
    receipts, store, target,
};

/// How long who brings something in may take to say what.
const BEGIN_WITHIN: Duration = Duration::from_secs(20);

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
            let namesakes = match request.target.as_str() {
                "" => Vec::new(),
                text => target::called_the_same(&mut conn, text, &own).await?,
            };
            Ok((rows, older, namesakes))
        };
        let (rows, older, namesakes) = self.admission.call(query).await?;
        Ok(Response::new(v1::QueryResponse {
            jobs: convert::jobs(rows)?,
            older: older.map(convert::submission),
            namesakes: namesakes.into_iter().map(convert::submission).collect(),
        }))
    }

    async fn ask(&self, request: Request<v1::AskRequest>) -> Result<Response<v1::AskResponse>, Status> {
        let own = caller(&request)?.name;
        let question = convert_asked::question(request.into_inner());
        check_question(&question)?;
        let ask = async {
            let mut conn = self.store.reader().await.map_err(Error::from)?;
            let question = views::resolved(&mut conn, &own, question).await?;
            Ok(asked::ask(&mut conn, &own, &question).await?)
        };
        let answer = self.admission.call(ask).await?;
        Ok(Response::new(convert_asked::answer(answer)))
    }

    async fn save_view(&self, request: Request<v1::SaveViewRequest>) -> Result<Response<v1::SaveViewResponse>, Status> {
        let by = caller(&request)?;
        let v1::SaveViewRequest { name, question } = request.into_inner();
        check_texts(&[("name", &name)])?;
        let question = convert_asked::question(question.unwrap_or_default());
        check_question(&question)?;
        let save = async { Ok(views::save(&self.store, &by, &name, &question).await?) };
        let (row, replaced) = self.admission.call(save).await?;
        Ok(Response::new(v1::SaveViewResponse { view: Some(convert_asked::view(row)), replaced }))
    }

    async fn list_views(
        &self,
        request: Request<v1::ListViewsRequest>,
    ) -> Result<Response<v1::ListViewsResponse>, Status> {
        let own = caller(&request)?.name;
        let v1::ListViewsRequest { all } = request.into_inner();
        let list = async {
            let mut conn = self.store.reader().await.map_err(Error::from)?;
            Ok(views::list(&mut conn, (!all).then_some(own.as_str())).await?)
        };
        let (rows, more) = self.admission.call(list).await?;
        let views = rows.into_iter().map(convert_asked::view).collect();
        Ok(Response::new(v1::ListViewsResponse { views, more }))
    }

    async fn remove_view(
        &self,
        request: Request<v1::RemoveViewRequest>,
    ) -> Result<Response<v1::RemoveViewResponse>, Status> {
        let by = caller(&request)?;
        let v1::RemoveViewRequest { name } = request.into_inner();
        check_texts(&[("name", &name)])?;
        let remove = async { Ok(views::remove(&self.store, &by, &name).await?) };
        let row = self.admission.call(remove).await?;
        Ok(Response::new(v1::RemoveViewResponse { view: Some(convert_asked::view(row)) }))
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

    async fn import(
        &self,
        request: Request<Streaming<v1::ImportRequest>>,
    ) -> Result<Response<v1::ImportResponse>, Status> {
        let by = caller(&request)?;
        let held = (self.admission.stream()?, self.admission.arrival(&by.name)?);
        let mut messages = request.into_inner().map(|message| match message {
            Ok(v1::ImportRequest { message: Some(message) }) => Ok(message),
            Ok(_) => Err(Error::Invalid("a message without a part of an import".to_owned())),
            Err(status) => Err(Error::StoreAway(format!("the stream broke: {}", status.message()))),
        });
        let first = timeout(BEGIN_WITHIN, messages.next()).await;
        let first = first.map_err(|_| Error::Invalid(format!("nothing arrived within {BEGIN_WITHIN:?}")))?;
        let Some(import_request::Message::Begin(begin)) = first.transpose()? else {
            return Err(
                Error::Invalid("the first message of an Import says what follows: expected `begin`".into()).into()
            );
        };
        check_nul("toml", &begin.toml)?;
        check_texts(&[("file_name", &begin.file_name), ("sha256", &begin.sha256)])?;
        let house =
            House { store: self.store.clone(), folder: self.dispatcher.folder.clone(), closing: self.closing.clone() };
        // In a task: who goes away leaves no half of it.
        let importing = self.streams.spawn(async move {
            let _held = held;
            import(&house, &by, begin, messages).await
        });
        let imported = importing.await.map_err(|error| Error::Bug(format!("an import ended: {error}")))??;
        let job = |(name, id): (String, Uuid)| v1::ImportedAs { name, id: id.to_string() };
        Ok(Response::new(v1::ImportResponse {
            experiment_id: imported.experiment.to_string(),
            experiment: imported.name,
            jobs: imported.jobs.into_iter().map(job).collect(),
            present: imported.present,
        }))
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
        let v1::FetchRequest { artifact_id, offset, checkpoint } = request.into_inner();
        let (first, open) = match checkpoint {
            Some(file) if artifact_id.is_empty() => self.open_checkpoint(file).await?,
            Some(_) => return Err(Error::Invalid("`artifact_id` and `checkpoint`: expected one of them".into()).into()),
            None => self.open_artifact(&artifact_id).await?,
        };
        if offset > open.size {
            let (name, size) = (open.file_name(), open.size);
            return Err(Error::Invalid(format!("`offset` is {offset}, but {name} has {size} bytes")).into());
        }
        let (sender, receiver) = mpsc::channel(4);
        self.streams.spawn(fetch::send(open, offset, sender, self.closing.clone()));
        let first = v1::FetchResponse { artifact: Some(first), offset, ..v1::FetchResponse::default() };
        let chunks = answers(receiver, place, |chunk| Ok(v1::FetchResponse { chunk, ..v1::FetchResponse::default() }));
        Ok(Response::new(Box::pin(tokio_stream::once(Ok(first)).chain(chunks))))
    }
}

impl Api {
    async fn open_artifact(&self, id: &str) -> Result<(v1::Artifact, Open), Status> {
        check_texts(&[("artifact_id", id)])?;
        let find = async {
            let mut conn = self.store.reader().await.map_err(Error::from)?;
            Ok(fetch::find(&mut conn, id).await?)
        };
        let artifact = self.admission.call(find).await?;
        let open = self.seen(fetch::open(&self.dispatcher.folder.root, &artifact).await).await?;
        Ok((convert::artifact(artifact), open))
    }

    async fn open_checkpoint(&self, wanted: v1::CheckpointFile) -> Result<(v1::Artifact, Open), Status> {
        let v1::CheckpointFile { job_id, step, file } = wanted;
        check_texts(&[("job_id", &job_id), ("file", &file)])?;
        let find = async {
            let mut conn = self.store.reader().await.map_err(Error::from)?;
            Ok(fetch::find_checkpoint(&mut conn, &job_id, step).await?)
        };
        let checkpoint = self.admission.call(find).await?;
        let open = self.seen(fetch::open_checkpoint(&self.dispatcher.folder.root, &checkpoint, &file).await).await?;
        let first = v1::Artifact {
            job_id,
            kind: "checkpoint".to_owned(),
            name: open.file_name().to_owned(),
            bytes: open.size,
            sha256: if file.is_empty() { checkpoint.sha256 } else { String::new() },
            ..v1::Artifact::default()
        };
        Ok((first, open))
    }

    /// A store that is away says nothing about the file.
    async fn seen(&self, opened: Result<Open, Error>) -> Result<Open, Error> {
        match opened {
            Err(damaged @ Error::Damaged(_)) => {
                let seen = self.dispatcher.folder.is_seen().await;
                Err(seen.map_or_else(Error::StoreAway, |()| damaged))
            }
            opened => opened,
        }
    }
}

fn check_question(question: &asked::Question) -> Result<(), Status> {
    // The condition is longer, and has a bound of its own.
    check_nul("where", &question.condition)?;
    let asked::Question { target, owner, since, order, cursor, view, tag, .. } = question;
    check_texts(&[("target", target), ("owner", owner), ("since", since), ("order", order)])?;
    check_texts(&[("cursor", cursor), ("view", view), ("tag", tag)])?;
    check_texts(&question.by.iter().map(|key| ("by", key.as_str())).collect::<Vec<_>>())?;
    check_texts(&question.columns.iter().map(|column| ("columns", column.as_str())).collect::<Vec<_>>())?;
    Ok(())
}
