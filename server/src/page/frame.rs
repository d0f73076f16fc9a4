//! What stands around every page: head, navigation, who looks.

use askama::Template;
use axum::{
    http::{HeaderMap, StatusCode, header},
    response::{Html, IntoResponse, Response},
};
use tandem_domain::access::identity::Person;

use super::{
    answer::Answer,
    assets::{ICON, SCRIPT, STYLE},
    block::html,
    house::House,
    text::Text,
};

#[derive(Template)]
#[template(path = "frame.html")]
struct Frame<'a> {
    title: &'a Text,
    heading: &'a Text,
    path: &'a str,
    style: &'a str,
    script: &'a str,
    icon: &'a str,
    who: Option<Who>,
    told: Option<Text>,
    /// Where changes come from; empty if there are none.
    live: &'a str,
    /// Of our own: what stands in it was escaped by its templates.
    content: &'a str,
}

struct Who {
    name: Text,
    role: &'static str,
}

/// A page but for what stands around it.
pub(super) struct Content<'a> {
    pub(super) title: &'a Text,
    pub(super) heading: &'a Text,
    /// Of the page: the navigation marks it.
    pub(super) path: &'a str,
    pub(super) live: &'a str,
    pub(super) html: &'a str,
}

/// A page for somebody, with what became of its last action.
pub(super) fn page(house: &House, headers: &HeaderMap, who: Option<&Person>, content: &Content<'_>) -> Answer {
    let told = house.cookies.told(headers);
    let mut answer = Html(framed(who, told.as_deref(), content)?).into_response();
    if told.is_some() {
        answer.headers_mut().append(header::SET_COOKIE, house.cookies.clear_told());
    }
    Ok(answer)
}

/// What went wrong, as a page.
pub(super) fn problem(code: StatusCode, words: &str) -> crate::error::Result<Response> {
    #[derive(Template)]
    #[template(path = "problem.html")]
    struct Words {
        words: Text,
    }
    let content = html(&Words { words: Text::lines(words.trim_end()) })?;
    let title = Text::line(match code.as_u16() {
        401 => "Log in first",
        403 => "Not allowed",
        404 => "Not here",
        405 => "Not so",
        409 => "Not now",
        429 => "Too many at once",
        500.. => "No answer",
        _ => "It did not work",
    });
    let content = Content { title: &title, heading: &title, path: "", live: "", html: &content };
    Ok((code, Html(framed(None, None, &content)?)).into_response())
}

fn framed(who: Option<&Person>, told: Option<&str>, content: &Content<'_>) -> crate::error::Result<String> {
    html(&Frame {
        title: content.title,
        heading: content.heading,
        path: content.path,
        style: &STYLE.path,
        script: &SCRIPT.path,
        icon: &ICON.path,
        who: who.map(|person| Who { name: Text::line(&person.name), role: person.role.word() }),
        told: told.map(Text::line),
        live: content.live,
        content: content.html,
    })
}
