//! The house: data sets, devices, workers, the policy.

use super::*;

#[tonic::async_trait]
impl Data for Coordinator {
    type PutStream = AnswerStream<v1::PutResponse>;

    async fn list(&self, _: Request<v1::ListDataRequest>) -> Answer<v1::ListDataResponse> {
        let datasets = self.script().stored.clone();
        Ok(Response::new(v1::ListDataResponse { datasets, ..Default::default() }))
    }

    /// Takes the first of the stored ones for what arrives.
    async fn put(&self, request: Request<Streaming<v1::PutRequest>>) -> Answer<Self::PutStream> {
        let mut pieces = request.into_inner();
        let Some(Message::Begin(begin)) = pieces.message().await?.and_then(|first| first.message) else {
            return Err(Status::invalid_argument("expected `begin`"));
        };
        let dataset = self.script().stored.first().cloned();
        let (sender, receiver) = tokio::sync::mpsc::channel(4);
        tokio::spawn(async move {
            let said = |message| Ok(v1::PutResponse { message: Some(message) });
            let _ = sender.send(said(put_response::Message::SendFrom(0))).await;
            let mut arrived = 0;
            while arrived < begin.bytes {
                let Ok(Some(v1::PutRequest { message: Some(Message::Chunk(chunk)) })) = pieces.message().await else {
                    return;
                };
                arrived += chunk.len() as u64;
            }
            let done = v1::PutDone { dataset, present: false };
            let _ = sender.send(said(put_response::Message::Done(done))).await;
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }

    async fn remove(&self, _: Request<v1::RemoveDataRequest>) -> Answer<v1::RemoveDataResponse> {
        let dataset = self.script().stored.first().cloned();
        Ok(Response::new(v1::RemoveDataResponse { dataset }))
    }
}

#[tonic::async_trait]
impl Devices for Coordinator {
    async fn show(&self, _: Request<v1::DevicesRequest>) -> Answer<v1::DevicesResponse> {
        Ok(Response::new(self.script.lock().unwrap().devices.clone()))
    }

    async fn usage(&self, _: Request<v1::UsageRequest>) -> Answer<v1::UsageResponse> {
        let script = self.script();
        Ok(Response::new(v1::UsageResponse { usage: script.usage.clone(), since: script.usage_since }))
    }
}

#[tonic::async_trait]
impl Fleet for Coordinator {
    async fn status(&self, _: Request<StatusRequest>) -> Answer<StatusResponse> {
        let script = self.script.lock().unwrap();
        if script.away {
            return Err(Status::unavailable("the coordinator is shutting down"));
        }
        Ok(Response::new(script.status.clone()))
    }

    async fn release(&self, request: Request<v1::ReleaseRequest>) -> Answer<v1::ReleaseResponse> {
        if let Some(release) = self.script.lock().unwrap().release.clone() {
            return Ok(Response::new(release));
        }
        let name = request.into_inner().worker;
        if name != "cpu-0" {
            return Err(Status::not_found(format!("no worker `{name}` here; there are: cpu-0")));
        }
        let worker = Some(v1::Worker { name, ..Default::default() });
        Ok(Response::new(v1::ReleaseResponse { worker, was_quarantined: true }))
    }

    async fn hold(&self, request: Request<v1::HoldRequest>) -> Answer<v1::HoldResponse> {
        let request = request.into_inner();
        let mut script = self.script();
        script.asked.push(format!("{request:?}"));
        let until = Some(tandem_proto::convert::timestamp(chrono::DateTime::UNIX_EPOCH));
        let hold = Some(v1::Withheld { by: "ann".to_owned(), reason: request.reason, until });
        let worker = Some(v1::Worker { name: request.worker, hold, ..Default::default() });
        Ok(Response::new(v1::HoldResponse { worker, running: script.running.clone(), stopping: request.now }))
    }

    async fn unhold(&self, request: Request<v1::UnholdRequest>) -> Answer<v1::UnholdResponse> {
        let drain = Some(v1::Withheld { by: "root".to_owned(), ..Default::default() });
        let worker = Some(v1::Worker { name: request.into_inner().worker, drain, ..Default::default() });
        Ok(Response::new(v1::UnholdResponse { worker, was_held: true }))
    }

    async fn drain(&self, request: Request<v1::DrainRequest>) -> Answer<v1::DrainResponse> {
        let request = request.into_inner();
        let running = self.script().running.clone();
        Ok(Response::new(v1::DrainResponse { worker: None, running, stopping: request.now }))
    }

    async fn undrain(&self, _: Request<v1::UndrainRequest>) -> Answer<v1::UndrainResponse> {
        Ok(Response::new(v1::UndrainResponse { worker: None, was_drained: false }))
    }
}

#[tonic::async_trait]
impl Policies for Coordinator {
    async fn get(&self, _: Request<v1::GetPolicyRequest>) -> Answer<v1::GetPolicyResponse> {
        let policy = Some(self.script().policies.first().cloned().unwrap_or_default());
        Ok(Response::new(v1::GetPolicyResponse { policy, effective: "[fair_share]\n".to_owned() }))
    }

    async fn set(&self, request: Request<v1::SetPolicyRequest>) -> Answer<v1::SetPolicyResponse> {
        let request = request.into_inner();
        if request.toml.contains("wrong") {
            return Err(Status::invalid_argument("the policy is wrong: line 1"));
        }
        self.script().policy_files.push(request.file_name);
        let policy = (!request.dry_run).then(|| v1::Policy { version: 4, ..Default::default() });
        let changes = vec!["limits.queued_jobs: 3, was 5".to_owned()];
        let notes = vec!["nobody here is called `zoe`".to_owned()];
        Ok(Response::new(v1::SetPolicyResponse { policy, changes, notes, ..Default::default() }))
    }

    async fn history(&self, _: Request<v1::PolicyHistoryRequest>) -> Answer<v1::PolicyHistoryResponse> {
        Ok(Response::new(v1::PolicyHistoryResponse { policies: self.script().policies.clone() }))
    }
}
