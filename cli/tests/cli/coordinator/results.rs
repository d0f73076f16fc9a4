//! Results: what was measured, views, files.

use super::*;

#[tonic::async_trait]
impl Results for Coordinator {
    type FetchStream = AnswerStream<FetchResponse>;

    async fn query(&self, request: Request<QueryRequest>) -> Answer<QueryResponse> {
        let script = self.script.lock().unwrap();
        let is_older = script.older.as_ref().is_some_and(|older| older.id == request.get_ref().target);
        let jobs = if script.has_no_results && !is_older { Vec::new() } else { script.jobs.clone() };
        let (older, namesakes) = (script.older.clone(), script.namesakes.clone());
        Ok(Response::new(QueryResponse { jobs, older, namesakes }))
    }

    async fn ask(&self, request: Request<v1::AskRequest>) -> Answer<v1::AskResponse> {
        let mut script = self.script();
        let request = request.into_inner();
        let page = request.cursor.strip_prefix('c').map_or(0, |page| page.parse().unwrap());
        script.questions.push(request);
        Ok(Response::new(script.answers.get(page).cloned().unwrap_or_default()))
    }

    async fn save_view(&self, request: Request<v1::SaveViewRequest>) -> Answer<v1::SaveViewResponse> {
        let v1::SaveViewRequest { name, question } = request.into_inner();
        let view = v1::View { owner: "ada".to_owned(), name, question, made_at: None };
        let mut script = self.script();
        let before = script.views.len();
        script.views.retain(|one| one.name != view.name);
        let replaced = script.views.len() < before;
        script.views.push(view.clone());
        Ok(Response::new(v1::SaveViewResponse { view: Some(view), replaced }))
    }

    async fn list_views(&self, _: Request<v1::ListViewsRequest>) -> Answer<v1::ListViewsResponse> {
        Ok(Response::new(v1::ListViewsResponse { views: self.script().views.clone(), more: false }))
    }

    async fn remove_view(&self, request: Request<v1::RemoveViewRequest>) -> Answer<v1::RemoveViewResponse> {
        let mut script = self.script();
        let name = request.into_inner().name;
        match script.views.iter().position(|view| view.name == name) {
            Some(at) => Ok(Response::new(v1::RemoveViewResponse { view: Some(script.views.remove(at)) })),
            None => Err(Status::not_found(format!("there is no view `{name}`"))),
        }
    }

    async fn metrics(&self, request: Request<MetricsRequest>) -> Answer<MetricsResponse> {
        let request = request.into_inner();
        let MetricsRequest { target, names, .. } = &request;
        let is_wanted = |one: &Series| one.job_id == *target && (names.is_empty() || names.contains(&one.name));
        let mut series = self.script.lock().unwrap().series.clone();
        series.retain(is_wanted);
        for one in &mut series {
            one.count = one.values.len() as u64;
            if request.most > 0 {
                let skipped = one.steps.iter().filter(|step| **step < request.from_step).count();
                let end = one.steps.len().min(skipped + request.most as usize);
                (one.steps, one.values) = (one.steps[skipped..end].to_vec(), one.values[skipped..end].to_vec());
            }
        }
        series.retain(|one| !one.values.is_empty());
        Ok(Response::new(MetricsResponse { series }))
    }

    async fn fetch(&self, request: Request<FetchRequest>) -> Answer<Self::FetchStream> {
        let mut script = self.script.lock().unwrap();
        let FetchRequest { artifact_id, offset, checkpoint } = request.into_inner();
        let asked = checkpoint.map_or(artifact_id, |wanted| format!("{}/{}", wanted.step, wanted.file));
        script.fetches.push((asked.clone(), offset));
        let own = script.bytes_of.get(&asked);
        let chunks = own.map_or_else(|| script.chunks.clone(), |bytes| vec![bytes.clone()]);
        let mut skipped = offset as usize;
        let chunks = chunks.into_iter().map(|chunk| {
            let here = skipped.min(chunk.len());
            skipped -= here;
            chunk[here..].to_vec().into()
        });
        let messages = chunks.map(|chunk| FetchResponse { chunk, offset, ..FetchResponse::default() }).collect();
        Ok(if script.breaks { Self::broken_stream(messages) } else { Self::stream(messages) })
    }

    async fn receipt(&self, request: Request<v1::ReceiptRequest>) -> Answer<v1::ReceiptResponse> {
        let mut script = self.script.lock().unwrap();
        let request = request.into_inner();
        let own = script.receipt_of.get(&request.target).cloned();
        script.receipts_asked.push(request);
        if let Some(own) = own {
            return Ok(Response::new(own));
        }
        let none = || Status::failed_precondition("it has no receipt: it succeeded before this house kept any");
        script.receipt.clone().map(Response::new).ok_or_else(none)
    }

    async fn reproduce(&self, request: Request<v1::ReproduceRequest>) -> Answer<v1::ReproduceResponse> {
        let v1::ReproduceRequest { target, replay } = request.into_inner();
        let (from_step, until_step) = if replay { (8, 16) } else { (0, 0) };
        let experiment = if replay { "verify-0199a1b2" } else { "reproduce-0199a1b2" }.to_owned();
        let job_id = "0199a1b2-c3d4-7aaa-8000-000000000002".to_owned();
        let (of_id, already) = (target, false);
        Ok(Response::new(v1::ReproduceResponse { job_id, experiment, of_id, already, from_step, until_step }))
    }

    async fn import(&self, request: Request<Streaming<v1::ImportRequest>>) -> Answer<v1::ImportResponse> {
        let mut messages = request.into_inner();
        let (mut jobs, mut bytes) = (Vec::new(), 0);
        while let Some(message) = messages.message().await? {
            match message.message {
                Some(v1::import_request::Message::Job(job)) => {
                    jobs.push(v1::ImportedAs { name: job.name, id: "1".to_owned() });
                }
                Some(v1::import_request::Message::Chunk(chunk)) => bytes += chunk.len(),
                _ => {}
            }
        }
        let experiment_id = format!("{bytes} bytes");
        Ok(Response::new(v1::ImportResponse { experiment_id, experiment: "here".to_owned(), jobs, present: false }))
    }

    async fn receipt_keys(&self, _: Request<v1::ReceiptKeysRequest>) -> Answer<v1::ReceiptKeysResponse> {
        let receipt = self.script.lock().unwrap().receipt.clone();
        let key = |receipt: v1::ReceiptResponse| v1::ReceiptKey { id: "ab".to_owned(), pem: receipt.key, since: None };
        Ok(Response::new(v1::ReceiptKeysResponse { keys: receipt.map(key).into_iter().collect() }))
    }
}
