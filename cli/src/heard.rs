//! Listens on a connection for the first answer of a coordinator: only then is it remembered who served there.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use tonic::{
    Code,
    codegen::{
        Service,
        http::{HeaderMap, Response},
    },
};

use crate::known_houses::Doorkeeper;

/// What is asked, and who is told when it has answered.
#[derive(Clone)]
pub(crate) struct Heard<S> {
    inner: S,
    /// Of sockets alone.
    keeper: Option<Arc<Doorkeeper>>,
}

impl<S> Heard<S> {
    pub(crate) fn new(inner: S, keeper: Option<Arc<Doorkeeper>>) -> Self {
        Self { inner, keeper }
    }
}

impl<S, Request, Body> Service<Request> for Heard<S>
where
    S: Service<Request, Response = Response<Body>>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let (answer, keeper) = (self.inner.call(request), self.keeper.clone());
        Box::pin(async move {
            let answer = answer.await?;
            if let Some(keeper) = keeper
                && is_of_coordinator(answer.status().as_u16(), answer.headers())
                && let Some(remark) = keeper.answered()
            {
                eprintln!("{remark}");
            }
            Ok(answer)
        })
    }
}

/// It speaks gRPC, and knows what it was asked for: an answer or a refusal.
fn is_of_coordinator(status: u16, headers: &HeaderMap) -> bool {
    let header = |name: &str| headers.get(name).map(|value| value.as_bytes()).unwrap_or_default();
    let is_unknown_call = Code::from_bytes(header("grpc-status")) == Code::Unimplemented;
    status == 200 && header("content-type").starts_with(b"application/grpc") && !is_unknown_call
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_coordinator_is_told_from_other_programs() {
        let is = |status: u16, headers: &[(&'static str, &'static str)]| {
            let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
            is_of_coordinator(status, &headers.collect())
        };
        let grpc = ("content-type", "application/grpc");
        assert!(is(200, &[grpc]) && is(200, &[grpc, ("grpc-status", "16")]));
        assert!(!is(200, &[grpc, ("grpc-status", "12")]), "another service");
        assert!(!is(200, &[("content-type", "text/html")]) && !is(200, &[]) && !is(502, &[grpc]));
    }
}
