//! How a browser that is not known gets in: it is shown the way, and a session that has ended is taken from it.

use axum::{
    http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header},
    response::{Html, IntoResponse, Response},
};
use form_urlencoded::byte_serialize;
use tandem_domain::access::Denial;

use super::{
    answer::refuse,
    cookie::{Cookies, Sent},
};

/// A page that loads itself again. A link in a mail leads here without the cookie, which is sent within this site alone.
const AGAIN: &str = "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>Tandem</title>\
    <meta http-equiv=\"refresh\" content=\"0\"></head><body><p>One moment.</p></body></html>";

/// What is known of a request for a page.
pub(super) struct Asked {
    pub(super) method: Method,
    pub(super) uri: Uri,
    pub(super) sent: Sent,
    /// It follows a link of another site, or of a mail.
    pub(super) from_elsewhere: bool,
    /// A person looks at what comes back.
    pub(super) is_page: bool,
}

impl Asked {
    pub(super) fn new(method: &Method, uri: &Uri, headers: &HeaderMap, cookies: Cookies) -> Self {
        let header = |name: &str| headers.get(name).map(HeaderValue::as_bytes).unwrap_or_default();
        let looks = matches!(*method, Method::GET | Method::HEAD) && !uri.path().starts_with("/live");
        Self {
            method: method.clone(),
            uri: uri.clone(),
            sent: cookies.session(headers),
            from_elsewhere: header("sec-fetch-site") == b"cross-site" && header("sec-fetch-mode") == b"navigate",
            is_page: looks && header("accept").windows(9).any(|part| part == b"text/html"),
        }
    }

    pub(super) fn refuse(&self, denial: &Denial, cookies: Cookies) -> Response {
        let is_head = self.method == Method::HEAD;
        if !denial.is_unknown() {
            return refuse(false, is_head, denial);
        }
        let mut answer = match (self.is_page, &self.sent) {
            (true, Sent::Nothing) if self.from_elsewhere => Html(AGAIN).into_response(),
            (true, _) => {
                let to = match self.uri.path_and_query().map_or("/", |path| path.as_str()) {
                    "/" => "/login".to_owned(),
                    next => format!("/login?next={}", byte_serialize(next.as_bytes()).collect::<String>()),
                };
                (StatusCode::SEE_OTHER, [(header::LOCATION, to)]).into_response()
            }
            (false, _) => refuse(false, is_head, denial),
        };
        if self.sent != Sent::Nothing {
            answer.headers_mut().append(header::SET_COOKIE, cookies.clear());
        }
        answer
    }
}
