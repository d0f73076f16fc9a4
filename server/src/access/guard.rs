//! The layer in front of gRPC and pages: nothing behind it is reached by whoever may not.

use std::{sync::Arc, time::Instant};

use axum::{
    body::Body,
    extract::{Request, State},
    http::{HeaderValue, Method, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use tandem_domain::{
    access::{
        Denial, Identity,
        pages::rule_of_page,
        permit::permit,
        rules::{Least, Rule, rule_of},
        urls::{is_table, rule_of_url},
    },
    timing::CALL_LIMIT,
};
use tandem_proto::status::Code;
use tonic::Status;
use tracing::Instrument;

use super::{
    answer::{refuse, status},
    cookie::{Cookies, Sent},
    entrance::Asked,
    gate::Gate,
    open::Caller,
    outcome,
    revocable::{Revocable, Side},
};
use crate::{listen::peer::Peer, meters, problem::Problem, store::SPANS};

#[derive(Clone)]
pub(crate) struct Guard {
    pub(crate) gate: Arc<Gate>,
    pub(crate) cookies: Cookies,
}

pub(crate) async fn guard(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    let Guard { gate, cookies } = guard;
    let (is_grpc, is_head) = (is_grpc(&request), request.method() == Method::HEAD);
    let path = request.uri().path();
    // What is not there is told to everybody: which methods there are is no secret.
    let is_url = rule_of_url(path).is_some() || is_table(path);
    // By URL a token alone counts: what a browser sends along by itself is for pages.
    let (rule, is_page) = match (rule_of(path).or_else(|| rule_of_url(path)), rule_of_page(path)) {
        (Some(rule), _) => (rule, false),
        (None, Some(rule)) => (rule, !is_grpc),
        (None, None) => return next.run(request).await,
    };
    let Some(peer) = request.extensions().get::<Peer>().copied() else {
        return refuse(is_grpc, is_head, &Denial::NoToken);
    };
    let asked = is_page.then(|| Asked::new(request.method(), request.uri(), request.headers(), cookies));
    let authorizations: Vec<_> = request.headers().get_all(header::AUTHORIZATION).iter().cloned().collect();
    let identified = match identify(&gate, peer, &authorizations, asked.as_ref()).await {
        // A stale cookie keeps nobody from the way in.
        Err(_) if is_page && rule.least == Least::Anybody => Ok((Identity::Nobody, Caller::Nobody)),
        identified => identified,
    };
    let (who, permitted) = match identified {
        Ok((identity, caller)) => (identity.shown(), permit(rule, &identity).map(|()| (identity, caller))),
        Err(denial) => (Identity::Nobody.shown(), Err(denial)),
    };
    let (identity, caller) = match permitted {
        Ok(permitted) => permitted,
        Err(denial) => {
            return refused(&gate, cookies, &denial, Refused { peer, who, rule, is_grpc, is_head, is_url, asked });
        }
    };
    let (mut parts, body) = request.into_parts();
    parts.extensions.insert(identity);
    parts.extensions.insert(caller.clone());
    // Nothing behind this needs the token.
    parts.headers.remove(header::AUTHORIZATION);
    let held = gate.enter(caller, rule);
    let body = Revocable::new(body, Side::Request, &held);
    let body = if rule.streams { body } else { body.within(CALL_LIMIT) };
    let request = Request::from_parts(parts, Body::new(body));
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

/// By its token; the cookie of a browser counts for pages alone.
async fn identify(
    gate: &Gate,
    peer: Peer,
    authorizations: &[HeaderValue],
    asked: Option<&Asked>,
) -> Result<(Identity, Caller), Denial> {
    match (authorizations, asked.map(|asked| &asked.sent)) {
        ([_, _, ..], _) => Err(Denial::TwoTokens),
        ([], Some(Sent::Session(secret))) => gate.identify_browser(peer, secret).await,
        ([], Some(Sent::Malformed)) => Err(Denial::SessionOver),
        ([], _) => gate.identify(peer, None).await,
        ([one], _) => gate.identify(peer, Some(one.as_bytes())).await,
    }
}

struct Refused {
    peer: Peer,
    who: String,
    rule: &'static Rule,
    is_grpc: bool,
    is_head: bool,
    is_url: bool,
    asked: Option<Asked>,
}

fn refused(gate: &Gate, cookies: Cookies, denial: &Denial, refused: Refused) -> Response {
    let Refused { peer, who, rule, is_grpc, is_head, is_url, asked } = refused;
    // A browser that is not logged in yet has done nothing wrong.
    let is_new = asked.is_some() && matches!(denial, Denial::NoToken | Denial::SessionOver);
    if !is_new {
        gate.note(peer, &who, rule.method, denial);
    }
    match asked {
        Some(asked) if is_url && !asked.is_page && !is_head => Problem::from(status(denial)).into_response(),
        Some(asked) => asked.refuse(denial, cookies),
        None if is_url && !is_head => Problem::from(status(denial)).into_response(),
        None => refuse(is_grpc, is_head, denial),
    }
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
