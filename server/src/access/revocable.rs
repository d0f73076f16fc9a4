//! The body of a request or an answer, which ends when its caller may not go on.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use axum::body::{Body, Bytes};
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio_util::sync::WaitForCancellationFutureOwned;

use super::{
    answer::status,
    open::{Ending, Held},
};

/// What is sent at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// What the client sends: its reader gets an error.
    Request,
    /// An answer of gRPC: the client gets the reason as its status.
    Answer,
    /// A page: it is cut.
    Page,
}

pub(super) struct Revocable {
    inner: Body,
    side: Side,
    ended: Pin<Box<WaitForCancellationFutureOwned>>,
    ending: Arc<Ending>,
    /// On the list of open requests for as long as a side of it is open.
    _held: Arc<Held>,
    is_over: bool,
}

impl Revocable {
    pub(super) fn new(inner: Body, side: Side, held: &Arc<Held>) -> Self {
        let ending = held.ending.clone();
        let ended = Box::pin(ending.ended.clone().cancelled_owned());
        Self { inner, side, ended, ending, _held: held.clone(), is_over: false }
    }
}

impl HttpBody for Revocable {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        if self.ended.as_mut().poll(cx).is_ready() {
            self.is_over = true;
            let reason = self.ending.reason();
            let end = match self.side {
                Side::Request | Side::Page => Err(axum::Error::new(reason)),
                Side::Answer => trailers(&reason),
            };
            return Poll::Ready(Some(end));
        }
        Pin::new(&mut self.inner).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.is_over || self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

fn trailers(reason: &tandem_domain::access::Denial) -> Result<Frame<Bytes>, axum::Error> {
    let mut trailers = axum::http::HeaderMap::new();
    status(reason).add_header(&mut trailers).map_err(axum::Error::new)?;
    Ok(Frame::trailers(trailers))
}
