//! `tandem.v1.Jobs`.

use std::{sync::Arc, time::Duration};

use tandem_domain::state::JobState;
use tandem_proto::{convert::job_state, v1, v1::jobs_server::Jobs};
use tokio::sync::mpsc;
use tonic::{Request, Response, Status, async_trait};

use super::{
    Answers, Api,
    admission::{check_nul, check_texts},
    answers, caller,
};
use crate::{
    cancel::cancel,
    convert, convert_asked,
    error::Error,
    query::{self, watch::Snapshot},
    sharing::{pause, priority::set_priority, requeue::requeue, why::why},
    store::summaries::Chosen,
    submit::{Submission, submit},
    target,
};

#[async_trait]
impl Jobs for Api {
    async fn submit(&self, request: Request<v1::SubmitRequest>) -> Result<Response<v1::SubmitResponse>, Status> {
        let by = caller(&request)?;
        let request = request.into_inner();
        check_nul("toml", &request.toml)?;
        check_texts(&[("file_name", &request.file_name), ("idempotency_key", &request.idempotency_key)])?;
        let submission = Submission {
            toml: request.toml,
            // A program that has no file.
            file_name: Some(request.file_name)
                .filter(|name| !name.is_empty())
                .unwrap_or_else(|| "experiment.toml".to_owned()),
            dry_run: request.dry_run,
            fresh: request.fresh,
            by,
            idempotency_key: request.idempotency_key,
            priority: request.priority,
            max_time: request.max_seconds.map(Duration::from_secs),
        };
        let submit = async { Ok(submit(&self.store, &submission).await?) };
        Ok(Response::new(convert::submitted(self.admission.call(submit).await?)))
    }

    async fn list(&self, request: Request<v1::ListRequest>) -> Result<Response<v1::ListResponse>, Status> {
        let own = caller(&request)?.name;
        let request = request.into_inner();
        let v1::ListRequest { experiment, r#where, owner, mine, since, cursor, tag, view, .. } = &request;
        check_texts(&[("experiment", experiment), ("owner", owner), ("since", since), ("cursor", cursor)])?;
        check_texts(&[("tag", tag), ("view", view)])?;
        // The condition is longer, and has a bound of its own.
        check_nul("where", r#where)?;
        // A tag alone is looked up by itself, without the facts of jobs.
        let is_asked = *mine
            || (!tag.is_empty() && !experiment.is_empty())
            || [r#where, owner, since, cursor, view].into_iter().any(|text| !text.is_empty());
        let states: Vec<JobState> =
            request.states.iter().map(|state| job_state("states", *state)).collect::<Result<_, _>>()?;
        let list = async {
            let mut conn = self.store.reader().await.map_err(Error::from)?;
            if is_asked {
                let question = convert_asked::list(request, states);
                // How a view sorts and groups is for tables.
                let question = query::views::resolved(&mut conn, &own, question).await?.plain();
                let (rows, found) = query::jobs::find(&mut conn, &own, &question).await?;
                return Ok((rows, false, Some(found)));
            }
            let v1::ListRequest { limit, experiment, in_line, tag, .. } = request;
            if in_line && experiment.is_empty() {
                return Ok((query::jobs::line(&mut conn, limit).await?, false, None));
            }
            if !tag.is_empty() {
                let (rows, more) = query::jobs::tagged(&mut conn, &tag, &states, limit).await?;
                return Ok((rows, more, None));
            }
            let (rows, more) = query::jobs::list(&mut conn, &own, &experiment, &states, limit).await?;
            Ok((rows, more, None))
        };
        let (rows, more, found) = self.admission.call(list).await?;
        let answer = v1::ListResponse { jobs: convert::jobs(rows)?, more, ..v1::ListResponse::default() };
        Ok(Response::new(convert_asked::found(answer, found)))
    }

    async fn experiments(
        &self,
        request: Request<v1::ExperimentsRequest>,
    ) -> Result<Response<v1::ExperimentsResponse>, Status> {
        let own = caller(&request)?.name;
        let v1::ExperimentsRequest { limit, owner, mine, tag, archived } = request.into_inner();
        check_texts(&[("owner", &owner), ("tag", &tag)])?;
        let list = async {
            let mut conn = self.store.reader().await.map_err(Error::from)?;
            let chosen = Chosen { owner: if mine { &own } else { &owner }, tag: &tag, archived };
            Ok(query::experiments::list(&mut conn, chosen, limit).await?)
        };
        let experiments = self.admission.call(list).await?.into_iter().map(convert::summary).collect();
        Ok(Response::new(v1::ExperimentsResponse { experiments }))
    }

    async fn show(&self, request: Request<v1::ShowRequest>) -> Result<Response<v1::ShowResponse>, Status> {
        let own = caller(&request)?.name;
        let target = request.into_inner().target;
        check_texts(&[("target", &target)])?;
        let show = async {
            let mut conn = self.store.reader().await.map_err(Error::from)?;
            Ok(query::show::show(&mut conn, &target, &own).await?)
        };
        Ok(Response::new(convert::shown(self.admission.call(show).await?)?))
    }

    type WatchStream = Answers<v1::WatchResponse>;

    async fn watch(&self, request: Request<v1::WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let place = self.admission.stream()?;
        let own = caller(&request)?.name;
        let target = request.into_inner().target;
        check_texts(&[("target", &target)])?;
        let resolve = async {
            let mut conn = self.store.reader().await.map_err(Error::from)?;
            Ok(target::resolve(&mut conn, &target, &own).await?)
        };
        let target = self.admission.call(resolve).await?;
        // One that waits to be sent: a client that lags is to get the newest.
        let (sender, receiver) = mpsc::channel(1);
        self.streams.spawn(self.watches.clone().watch(target, sender, self.closing.clone()));
        Ok(Response::new(answers(receiver, place, |snapshot: Arc<Snapshot>| {
            Ok(v1::WatchResponse { jobs: convert::jobs(snapshot.jobs.clone())?, done: snapshot.done })
        })))
    }

    type LogsStream = Answers<v1::LogLine>;

    async fn logs(&self, request: Request<v1::LogsRequest>) -> Result<Response<Self::LogsStream>, Status> {
        let place = self.admission.stream()?;
        let own = caller(&request)?.name;
        let v1::LogsRequest { target, follow, tail } = request.into_inner();
        check_texts(&[("target", &target)])?;
        let resolve = async {
            let mut conn = self.store.reader().await.map_err(Error::from)?;
            let target = target::resolve(&mut conn, &target, &own).await?;
            Ok(target::jobs_of(&mut conn, target).await?)
        };
        let jobs = self.admission.call(resolve).await?;
        let (sender, receiver) = mpsc::channel(256);
        let request = query::logs::Request { jobs, follow, tail: (tail > 0).then_some(tail) };
        let logs = query::logs::logs(self.store.clone(), self.notifier.clone(), request, sender, self.closing.clone());
        self.streams.spawn(logs);
        Ok(Response::new(answers(receiver, place, |row| Ok(convert::log_line(row)))))
    }

    async fn cancel(&self, request: Request<v1::CancelRequest>) -> Result<Response<v1::CancelResponse>, Status> {
        let who = caller(&request)?;
        let target = request.into_inner().target;
        check_texts(&[("target", &target)])?;
        let cancel = async {
            let cancelled = cancel(&self.store, &target, &who).await;
            Ok(self.noted(&who, "Jobs/Cancel", &target, cancelled)?)
        };
        let cancelled = self.admission.call(cancel).await?;
        Ok(Response::new(convert::cancelled(cancelled)?))
    }

    async fn pause(&self, request: Request<v1::PauseRequest>) -> Result<Response<v1::ChangedResponse>, Status> {
        let who = caller(&request)?;
        let target = request.into_inner().target;
        check_texts(&[("target", &target)])?;
        let pause =
            async { Ok(self.noted(&who, "Jobs/Pause", &target, pause::pause(&self.store, &target, &who).await)?) };
        Ok(Response::new(convert::changed(self.admission.call(pause).await?)?))
    }

    async fn resume(&self, request: Request<v1::ResumeRequest>) -> Result<Response<v1::ChangedResponse>, Status> {
        let who = caller(&request)?;
        let target = request.into_inner().target;
        check_texts(&[("target", &target)])?;
        let resume =
            async { Ok(self.noted(&who, "Jobs/Resume", &target, pause::resume(&self.store, &target, &who).await)?) };
        Ok(Response::new(convert::changed(self.admission.call(resume).await?)?))
    }

    async fn requeue(&self, request: Request<v1::RequeueRequest>) -> Result<Response<v1::ChangedResponse>, Status> {
        let who = caller(&request)?;
        let v1::RequeueRequest { target, max_seconds } = request.into_inner();
        check_texts(&[("target", &target)])?;
        let max_time = max_seconds.map(Duration::from_secs);
        let requeue = async {
            let changed = requeue(&self.store, &target, max_time, &who).await;
            Ok(self.noted(&who, "Jobs/Requeue", &target, changed)?)
        };
        Ok(Response::new(convert::changed(self.admission.call(requeue).await?)?))
    }

    async fn set_priority(
        &self,
        request: Request<v1::SetPriorityRequest>,
    ) -> Result<Response<v1::ChangedResponse>, Status> {
        let who = caller(&request)?;
        let v1::SetPriorityRequest { target, priority } = request.into_inner();
        check_texts(&[("target", &target)])?;
        let set = async {
            let changed = set_priority(&self.store, &target, priority, &who).await;
            Ok(self.noted(&who, "Jobs/SetPriority", &target, changed)?)
        };
        Ok(Response::new(convert::changed(self.admission.call(set).await?)?))
    }

    async fn why(&self, request: Request<v1::WhyRequest>) -> Result<Response<v1::WhyResponse>, Status> {
        let own = caller(&request)?.name;
        let target = request.into_inner().target;
        check_texts(&[("target", &target)])?;
        let why = async { Ok(why(&self.store, &self.outlooks, &target, &own).await?) };
        let (whys, line) = self.admission.call(why).await?;
        Ok(Response::new(convert::whys(whys, &line)?))
    }
}
