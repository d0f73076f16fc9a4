//! Jobs: submit and follow.

use super::*;

#[tonic::async_trait]
impl Jobs for Coordinator {
    type WatchStream = AnswerStream<WatchResponse>;
    type LogsStream = AnswerStream<LogLine>;

    async fn submit(&self, request: Request<SubmitRequest>) -> Answer<SubmitResponse> {
        let mut script = self.script.lock().unwrap();
        script.submits.push(request.into_inner());
        let success = || {
            let jobs =
                vec![v1::PlannedJob { job_id: "7f".to_owned(), name: "encoder".to_owned(), ..Default::default() }];
            Ok(SubmitResponse {
                experiment_id: "e-1".to_owned(),
                name: "quickstart".to_owned(),
                jobs,
                priority: 0,
                notes: Vec::new(),
            })
        };
        script.submit_answers.pop_front().unwrap_or_else(success).map(Response::new)
    }

    async fn list(&self, request: Request<ListRequest>) -> Answer<ListResponse> {
        let token = request.metadata().get("authorization").map(|value| value.to_str().unwrap().to_owned());
        let mut script = self.script.lock().unwrap();
        script.authorizations.push(token);
        let request = request.into_inner();
        let ListRequest { states, experiment, .. } = request.clone();
        script.lists.push(request);
        let is_asked = |job: &&Job| states.is_empty() || states.contains(&job.state);
        let jobs = match script.listed_of.get(&experiment) {
            Some(jobs) => jobs,
            None if script.listed_of.is_empty() => &script.jobs,
            None => return Err(Status::not_found(format!("no job or experiment `{experiment}`"))),
        };
        let jobs = jobs.iter().filter(is_asked).cloned().collect();
        Ok(Response::new(ListResponse { jobs, more: script.list_more, ..ListResponse::default() }))
    }

    async fn experiments(&self, request: Request<v1::ExperimentsRequest>) -> Answer<v1::ExperimentsResponse> {
        let mut script = self.script.lock().unwrap();
        script.experiments_asked.push(request.into_inner());
        Ok(Response::new(v1::ExperimentsResponse { experiments: script.experiments.clone() }))
    }

    async fn show(&self, request: Request<ShowRequest>) -> Answer<ShowResponse> {
        let target = request.into_inner().target;
        if target == "nobody" {
            return Err(Status::not_found("no job or experiment `nobody`"));
        }
        let mut script = self.script.lock().unwrap();
        script.showed += 1;
        if script.away {
            return Err(Status::unavailable("the coordinator is shutting down"));
        }
        Ok(Response::new(script.shown_of.get(&target).unwrap_or(&script.shown).clone()))
    }

    async fn watch(&self, _: Request<WatchRequest>) -> Answer<Self::WatchStream> {
        let mut script = self.script.lock().unwrap();
        script.watched += 1;
        Ok(match script.watches.pop_front() {
            Some(snapshots) => Self::stream(snapshots),
            None => Response::new(Box::pin(futures::stream::pending())),
        })
    }

    async fn logs(&self, _: Request<LogsRequest>) -> Answer<Self::LogsStream> {
        let (mut logs, breaks) = {
            let script = self.script.lock().unwrap();
            (script.logs.clone(), script.breaks)
        };
        if breaks {
            return Ok(Self::broken_stream(logs));
        }
        if logs.is_empty() {
            let (line, job_name) = ("hello".to_owned(), "encoder".to_owned());
            logs.push(LogLine { line, job_name, ..LogLine::default() });
        }
        Ok(Self::stream(logs))
    }

    async fn cancel(&self, request: Request<CancelRequest>) -> Answer<CancelResponse> {
        let mut script = self.script.lock().unwrap();
        script.cancels.push(request.into_inner());
        Ok(Response::new(CancelResponse { cancelled: script.jobs.clone(), shared: script.shared.clone() }))
    }

    async fn pause(&self, request: Request<v1::PauseRequest>) -> Answer<v1::ChangedResponse> {
        self.changed(request.into_inner())
    }

    async fn resume(&self, request: Request<v1::ResumeRequest>) -> Answer<v1::ChangedResponse> {
        self.changed(request.into_inner())
    }

    async fn requeue(&self, request: Request<v1::RequeueRequest>) -> Answer<v1::ChangedResponse> {
        self.changed(request.into_inner())
    }

    async fn set_priority(&self, request: Request<v1::SetPriorityRequest>) -> Answer<v1::ChangedResponse> {
        self.changed(request.into_inner())
    }

    async fn why(&self, _: Request<v1::WhyRequest>) -> Answer<v1::WhyResponse> {
        Ok(Response::new(self.script().why.clone()))
    }
}
