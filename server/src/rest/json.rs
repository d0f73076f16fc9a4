//! `/api/v1/Service/Method`: a request of the fields of a query or of JSON, and the answer as JSON; of a stream, a line for each
//! message.

use axum::{
    Json, Router,
    body::{Body, to_bytes},
    extract::{Request, State},
    http::{HeaderValue, Method as Verb, StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use form_urlencoded::parse;
use serde_json::{Value, json};
use tandem_domain::access::urls::{READS, method_of};
use tandem_proto::reflect::Method;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::Status;

use super::call::{Messages, call};
use crate::{problem::Problem, rpc::FILE_REQUEST_BYTES_MAX};

/// Lines that are sent as they come would wait in a compressor.
pub(super) const LINES: &str = "application/x-ndjson";

#[derive(Clone)]
pub(super) struct Services {
    pub(super) services: Router,
    /// Streams are waited for here ...
    pub(super) streams: TaskTracker,
    /// ... and end when it is cancelled.
    pub(super) closing: CancellationToken,
}

/// The method of a path, which is called by `verb`.
fn method(path: &str, verb: &Verb) -> Result<(&'static str, Method), Problem> {
    let found = method_of(path).and_then(|name| Some((name, Method::of(name)?)));
    let (name, method) = found.ok_or_else(|| Problem::nothing_at(path))?;
    let (is_read, is_get) = (READS.contains(&name), *verb == Verb::GET || *verb == Verb::HEAD);
    if is_read == is_get && (is_get || *verb == Verb::POST) {
        return Ok((name, method));
    }
    let right = if is_read { "GET" } else { "POST" };
    Err(Problem::verb(right, format!("{path} is called by {right}, and not by {verb}")))
}

pub(super) async fn other(request: Request) -> Problem {
    let path = request.uri().path();
    method(path, request.method()).err().unwrap_or_else(|| Problem::nothing_at(path))
}

pub(super) async fn read(State(services): State<Services>, request: Request) -> Result<Response, Problem> {
    let (parts, _) = request.into_parts();
    let (name, method) = method(parts.uri.path(), &parts.method)?;
    let pairs: Vec<_> = parse(parts.uri.query().unwrap_or_default().as_bytes()).collect();
    let bytes = method.request_of_query(pairs.iter().map(|(name, value)| (name.as_ref(), value.as_ref())));
    let bytes = bytes.map_err(|wrong| Problem::invalid(wrong.to_string()))?;
    let mut messages = call(services.services.clone(), parts.extensions, name, &bytes).await?;
    if !method.streams() {
        return Ok(Json(only(&method, &mut messages).await?).into_response());
    }
    // What is refused is refused before the first line.
    let first = messages.next().await.transpose()?;
    let (sender, receiver) = mpsc::channel(4);
    let closing = services.closing.clone();
    services.streams.spawn(async move {
        tokio::select! {
            () = closing.cancelled() => {}
            () = sender.closed() => {}
            () = send(&method, first, messages, &sender) => {}
        }
    });
    let lines = Body::from_stream(ReceiverStream::new(receiver));
    Ok(([(header::CONTENT_TYPE, HeaderValue::from_static(LINES))], lines).into_response())
}

pub(super) async fn write(State(services): State<Services>, request: Request) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let (name, method) = method(parts.uri.path(), &parts.method)?;
    // No form of another site can send this.
    let kind = parts.headers.get(header::CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    if !kind.starts_with(b"application/json") {
        let words = "the request has no JSON: send it with `Content-Type: application/json`";
        return Err(Problem::invalid(words).with_code(StatusCode::UNSUPPORTED_MEDIA_TYPE));
    }
    let body = to_bytes(body, FILE_REQUEST_BYTES_MAX).await.map_err(|_| {
        let words = format!("the request is longer than {FILE_REQUEST_BYTES_MAX} bytes, or did not arrive whole");
        Problem::invalid(words).with_code(StatusCode::PAYLOAD_TOO_LARGE)
    })?;
    let json: Value = serde_json::from_slice(&body).map_err(|error| Problem::invalid(format!("no JSON: {error}")))?;
    let bytes = method.request_of_json(&json).map_err(|wrong| Problem::invalid(wrong.to_string()))?;
    let mut messages = call(services.services, parts.extensions, name, &bytes).await?;
    Ok((StatusCode::OK, Json(only(&method, &mut messages).await?)).into_response())
}

async fn only(method: &Method, messages: &mut Messages) -> Result<Value, Status> {
    let message = messages.next().await.unwrap_or_else(|| Err(Status::internal("there was no answer")))?;
    // What follows it says whether all was well.
    match messages.next().await {
        Some(Err(status)) => Err(status),
        _ => document(method, &message),
    }
}

fn document(method: &Method, message: &Bytes) -> Result<Value, Status> {
    method.answer(message).map_err(|error| Status::internal(error.to_string()))
}

type Lines = mpsc::Sender<Result<Bytes, std::convert::Infallible>>;

async fn send(method: &Method, first: Option<Bytes>, mut messages: Messages, to: &Lines) {
    let mut next = first.map(Ok);
    loop {
        let line = match next {
            None => return,
            Some(Ok(message)) => document(method, &message),
            Some(Err(status)) => Err(status),
        };
        let is_last = line.is_err();
        let line = line.unwrap_or_else(|status| json!({ "problem": Problem::from(status).document() }));
        if to.send(Ok(Bytes::from(format!("{line}\n")))).await.is_err() || is_last {
            return;
        }
        next = messages.next().await;
    }
}
