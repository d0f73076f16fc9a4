//! `/live`: the changes of one page, as server-sent events, until whoever looks is gone or may not look any more.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    Extension,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, StatusCode, Uri, header},
    response::IntoResponse,
};
use form_urlencoded::parse;
use tandem_domain::access::{Identity, PersonRole};
use tokio::{
    sync::{OwnedSemaphorePermit, mpsc, watch},
    time::{sleep, timeout},
};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;

use super::{
    answer::{Answer, Problem, person},
    house::House,
    live::Version,
    place::Place,
    show::absent,
    view::rights,
};
use crate::access::{Caller, Gate};

/// So often something is sent: what lies between would cut what is silent.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// So often it is looked at whether the role is still the same.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// A browser that does not read for so long is gone.
const SEND_LIMIT: Duration = Duration::from_secs(30);

pub(super) async fn follow(
    State(house): State<House>,
    Extension(who): Extension<Identity>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    uri: Uri,
) -> Answer {
    let who = person(Some(&who))?;
    let asked: Vec<(_, _)> = parse(uri.query().unwrap_or_default().as_bytes()).collect();
    let get = |name: &str| asked.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value.as_ref());
    if get("path").is_empty() {
        let words = "this sends what changes of a page: say which, as in /live?path=/jobs";
        return Err(Problem::new(StatusCode::BAD_REQUEST, words));
    }
    let place = Place::of(get("path"), get("query")).ok_or_else(|| absent(get("path")))?.asked_by(&who.name);
    let held = house.admission.stream()?;
    let rights = house
        .admission
        .call(async {
            let mut conn = house.store.reader().await.map_err(crate::error::Error::from)?;
            Ok(rights(&mut conn, &place, who).await?)
        })
        .await?;
    let again = headers.get("last-event-id").and_then(|id| id.to_str().ok());
    let seen = again.unwrap_or_else(|| get("seen")).to_owned();
    let versions = house.lives.join((place, rights));
    // One that waits to be sent: who lags gets the newest.
    let (sender, receiver) = mpsc::channel(1);
    let role = who.role;
    let (gate, closing) = (house.gate.clone(), house.closing.clone());
    house.streams.spawn(async move {
        tokio::select! {
            () = send(versions, seen, sender, closing, held) => {}
            () = until_other(&gate, &caller, role) => {}
        }
    });
    let headers = [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-store")];
    let more = [("x-accel-buffering", "no")];
    Ok((headers, more, Body::from_stream(ReceiverStream::new(receiver))).into_response())
}

/// Returns when the caller has another role than when it began to look: it is to ask again, and sees what is for that one.
async fn until_other(gate: &Gate, caller: &Caller, role: PersonRole) {
    loop {
        sleep(LOOK_EVERY).await;
        match gate.standing(caller).await {
            Ok(Identity::Person(person)) if person.role == role => {}
            _ => return,
        }
    }
}

async fn send(
    mut versions: watch::Receiver<Option<Arc<Version>>>,
    seen: String,
    sender: mpsc::Sender<Result<Bytes, Infallible>>,
    closing: CancellationToken,
    _held: OwnedSemaphorePermit,
) {
    let mut has: Option<u64> = None;
    // So that the browser knows at once that it is connected, and how soon to ask again.
    let mut next = Some(Bytes::from_static(b"retry: 3000\n\n"));
    loop {
        if let Some(bytes) = next.take()
            && !matches!(timeout(SEND_LIMIT, sender.send(Ok(bytes))).await, Ok(Ok(())))
        {
            return;
        }
        let version = versions.borrow_and_update().clone();
        if let Some(version) = version.filter(|version| has != Some(version.number)) {
            next = match has {
                Some(before) if before + 1 == version.number => Some(version.changes.clone()),
                None if version.digest == seen => None,
                _ => Some(version.whole.clone()),
            };
            has = Some(version.number);
            if next.is_some() {
                continue;
            }
        }
        tokio::select! {
            changed = versions.changed() => if changed.is_err() { return },
            () = sleep(KEEP_ALIVE) => next = Some(Bytes::from_static(b":\n\n")),
            () = closing.cancelled() => return,
            () = sender.closed() => return,
        }
    }
}
