//! The body of a request or an answer, which ends when its caller may not go on.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::body::{Body, Bytes};
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::{Sleep, sleep};
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
    /// Until then all of it must be there.
    until: Option<Pin<Box<Sleep>>>,
    /// On the list of open requests for as long as a side of it is open.
    _held: Arc<Held>,
    is_over: bool,
}

impl Revocable {
    pub(super) fn new(inner: Body, side: Side, held: &Arc<Held>) -> Self {
        let ending = held.ending.clone();
        let ended = Box::pin(ending.ended.clone().cancelled_owned());
        Self { inner, side, ended, ending, until: None, _held: held.clone(), is_over: false }
    }

    /// A request that is one message: whoever sends it slower than this holds a place that others want.
    pub(super) fn within(self, limit: Duration) -> Self {
        Self { until: Some(Box::pin(sleep(limit))), ..self }
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
        let next = Pin::new(&mut self.inner).poll_frame(cx);
        if next.is_pending() && self.until.as_mut().is_some_and(|until| until.as_mut().poll(cx).is_ready()) {
            self.is_over = true;
            return Poll::Ready(Some(Err(axum::Error::new(TooSlow))));
        }
        next
    }

    fn is_end_stream(&self) -> bool {
        self.is_over || self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the request did not arrive in time")]
struct TooSlow;

fn trailers(reason: &tandem_domain::access::Denial) -> Result<Frame<Bytes>, axum::Error> {
    let mut trailers = axum::http::HeaderMap::new();
    status(reason).add_header(&mut trailers).map_err(axum::Error::new)?;
    Ok(Frame::trailers(trailers))
}
