//! A call to one of the services of this process, as gRPC has it on the wire: a message behind five bytes.

use axum::{
    Router,
    body::Body,
    http::{Extensions, HeaderValue, Request, header},
};
use bytes::{Buf as _, Bytes, BytesMut};
use http_body_util::BodyExt as _;
use tonic::{Code, Status};
use tower::ServiceExt as _;

/// Before each message: whether it is compressed, and its length.
const HEAD: usize = 5;

/// The messages of an answer, as they come.
pub(super) struct Messages {
    body: Body,
    buffer: BytesMut,
    is_over: bool,
}

/// Calls `method` with a request's bytes, as who was let in: `extensions` say who that is.
pub(super) async fn call(
    services: Router,
    extensions: Extensions,
    method: &'static str,
    request: &[u8],
) -> Result<Messages, Status> {
    let length = u32::try_from(request.len()).map_err(|_| Status::invalid_argument("the request is too long"))?;
    let mut framed = Vec::with_capacity(HEAD + request.len());
    framed.push(0);
    framed.extend(length.to_be_bytes());
    framed.extend(request);
    let mut call =
        Request::post(method).body(Body::from(framed)).map_err(|error| Status::internal(error.to_string()))?;
    call.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    *call.extensions_mut() = extensions;
    let Ok(answer) = services.oneshot(call).await;
    // A refusal has no body: what would be behind it stands in the head.
    if let Some(status) = Status::from_header_map(answer.headers()).filter(|status| status.code() != Code::Ok) {
        return Err(status);
    }
    Ok(Messages { body: answer.into_body(), buffer: BytesMut::new(), is_over: false })
}

impl Messages {
    /// The next one; `None` when all were well.
    pub(super) async fn next(&mut self) -> Option<Result<Bytes, Status>> {
        loop {
            if let Some(message) = self.whole() {
                return Some(Ok(message));
            }
            if self.is_over {
                return None;
            }
            match self.body.frame().await {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.buffer.extend_from_slice(&data),
                    Err(frame) => {
                        self.is_over = true;
                        let status = frame.trailers_ref().and_then(Status::from_header_map);
                        if let Some(status) = status.filter(|status| status.code() != Code::Ok) {
                            return Some(Err(status));
                        }
                    }
                },
                Some(Err(error)) => {
                    self.is_over = true;
                    return Some(Err(Status::internal(error.to_string())));
                }
                None => self.is_over = true,
            }
        }
    }

    fn whole(&mut self) -> Option<Bytes> {
        let length = self.buffer.get(1..HEAD)?.try_into().map(u32::from_be_bytes).ok()? as usize;
        if self.buffer.len() < HEAD + length {
            return None;
        }
        self.buffer.advance(HEAD);
        Some(self.buffer.split_to(length).freeze())
    }
}
