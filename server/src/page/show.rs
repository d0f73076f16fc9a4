//! The handler of all pages that are drawn from what is stored.

use axum::{
    Extension,
    extract::State,
    http::{HeaderMap, StatusCode, Uri},
};
use chrono::Utc;
use form_urlencoded::Serializer;
use tandem_domain::access::Identity;

use super::{
    answer::{Answer, Problem, person},
    block::digest,
    frame::{self, Content},
    house::House,
    place::Place,
    view::{draw, rights},
};

pub(super) async fn show(
    State(house): State<House>,
    Extension(who): Extension<Identity>,
    headers: HeaderMap,
    uri: Uri,
) -> Answer {
    let who = person(Some(&who))?;
    let query = uri.query().unwrap_or_default();
    let place = Place::of(uri.path(), query).ok_or_else(|| absent(uri.path()))?.asked_by(&who.name);
    let work = async {
        let ahead = if place.looks_ahead() { Some(house.outlooks.now().await?) } else { None };
        let mut conn = house.store.reader().await.map_err(crate::error::Error::from)?;
        let rights = rights(&mut conn, &place, who).await?;
        Ok(draw(&mut conn, &place, &rights, ahead.as_deref(), Utc::now()).await?)
    };
    let drawn = house.admission.call(work).await?;
    let html: String = drawn.blocks.iter().map(super::block::Block::html).collect();
    let live = live(uri.path(), query, &digest(&drawn.blocks));
    let content = Content { title: &drawn.title, heading: &drawn.heading, path: uri.path(), live: &live, html: &html };
    frame::page(&house, &headers, Some(who), &content)
}

/// Where the changes of a page come from, and which state of it the browser has.
fn live(path: &str, query: &str, seen: &str) -> String {
    let mut live = Serializer::new(String::new());
    live.append_pair("path", path).append_pair("query", query).append_pair("seen", seen);
    format!("/live?{}", live.finish())
}

pub(super) fn absent(path: &str) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, format!("there is nothing at {path} here"))
}
