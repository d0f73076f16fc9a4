//! The layer in front of gRPC and pages: nothing behind it is reached by whoever may not.

use std::{sync::Arc, time::Instant};

use axum::{
    body::Body,
    extract::{Request, State},
    http::{Method, header},
    middleware::Next,
    response::Response,
};
use tandem_domain::access::{Denial, Identity, permit::permit, rules::rule_of};
use tandem_proto::status::Code;
use tonic::Status;
use tracing::Instrument;

use super::{
    answer::refuse,
    gate::Gate,
    outcome,
    revocable::{Revocable, Side},
};
use crate::{listen::peer::Peer, meters, store::SPANS};

pub(crate) async fn guard(State(gate): State<Arc<Gate>>, request: Request, next: Next) -> Response {
    let (is_grpc, is_head) = (is_grpc(&request), request.method() == Method::HEAD);
    // What is not there is told to everybody: which methods there are is no secret.
    let Some(rule) = rule_of(request.uri().path()) else { return next.run(request).await };
    let Some(peer) = request.extensions().get::<Peer>().copied() else {
        return refuse(is_grpc, is_head, &Denial::NoToken);
    };
    let mut headers = request.headers().get_all(header::AUTHORIZATION).iter();
    let identified = match (headers.next(), headers.next()) {
        (_, Some(_)) => Err(Denial::TwoTokens),
        (header, None) => gate.identify(peer, header.map(|value| value.as_bytes())).await,
    };
    let (who, permitted) = match identified {
        Ok((identity, caller)) => (identity.shown(), permit(rule, &identity).map(|()| (identity, caller))),
        Err(denial) => (Identity::Nobody.shown(), Err(denial)),
    };
    let (identity, caller) = match permitted {
        Ok(permitted) => permitted,
        Err(denial) => {
            gate.note(peer, &who, rule.method, &denial);
            return refuse(is_grpc, is_head, &denial);
        }
    };
    let (mut parts, body) = request.into_parts();
    parts.extensions.insert(identity);
    // Nothing behind this needs the token.
    parts.headers.remove(header::AUTHORIZATION);
    let held = gate.enter(caller, rule);
    let request = Request::from_parts(parts, Body::new(Revocable::new(body, Side::Request, &held)));
    let method = rule.method.trim_start_matches("/tandem.v1.");
    let span = tracing::debug_span!(
        target: SPANS, "request", otel.name = method, otel.kind = "server", who, outcome = tracing::field::Empty
    );
    let began = Instant::now();
    let answer = next.run(request).instrument(span.clone()).await;
    let outcome = outcome::of(&answer, is_grpc);
    span.record("outcome", outcome);
    meters::request(method, outcome, (!rule.streams).then(|| began.elapsed()));
    // What was asked in whole while its caller might is answered; what is still being asked ends with its caller's standing.
    if !rule.streams {
        return answer;
    }
    let side = if is_grpc { Side::Answer } else { Side::Page };
    answer.map(|body| Body::new(Revocable::new(body, side, &held)))
}

fn is_grpc(request: &Request) -> bool {
    let kind = request.headers().get(header::CONTENT_TYPE);
    kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"))
}

/// Who makes a request, as the layer found out.
///
/// # Errors
/// When it did not pass the layer: a fault of the coordinator, which must not let anybody in.
pub(crate) fn identity<T>(request: &tonic::Request<T>) -> Result<Identity, Status> {
    let identity = request.extensions().get::<Identity>().cloned();
    identity.ok_or_else(|| Code::Internal.status("nobody has looked who makes this call"))
}
