//! What a form says: few fields, each of one line.

use std::time::Duration;

use axum::{
    body::{Body, to_bytes},
    http::{HeaderMap, StatusCode, header},
};

use tokio::time::timeout;

use super::answer::Problem;

const BYTES_MAX: usize = 16 * 1024;
/// Who sends a form slower than this is no person.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(super) struct Form(Vec<(String, String)>);

impl Form {
    /// # Errors
    /// For what is no form, or longer than one of ours.
    pub(super) async fn read(headers: &HeaderMap, body: Body) -> Result<Self, Problem> {
        let kind = headers.get(header::CONTENT_TYPE).map(|kind| kind.as_bytes()).unwrap_or_default();
        if !kind.starts_with(b"application/x-www-form-urlencoded") {
            return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "expected a form"));
        }
        let bytes = timeout(PATIENCE, to_bytes(body, BYTES_MAX)).await;
        let bytes = bytes.map_err(|_| Problem::new(StatusCode::REQUEST_TIMEOUT, "the form did not arrive in time"))?;
        let bytes = bytes.map_err(|_| Problem::new(StatusCode::BAD_REQUEST, "the form was cut, or is too long"))?;
        Ok(Self::parse(&bytes))
    }

    fn parse(bytes: &[u8]) -> Self {
        Self(form_urlencoded::parse(bytes).map(|(key, value)| (key.into_owned(), value.into_owned())).collect())
    }

    /// Empty if it is not there. Postgres stores no NUL.
    pub(super) fn get(&self, name: &str) -> &str {
        let found = self.0.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value.trim());
        if found.contains('\0') { "" } else { found }
    }

    /// A path of ours that a browser may be sent to; else the first page.
    pub(super) fn path(&self, name: &str) -> String {
        own_path(self.get(name)).unwrap_or("/").to_owned()
    }
}

/// Whether it is a path here: no other site, which `//` or `/\` would begin.
pub(super) fn own_path(text: &str) -> Option<&str> {
    let is_plain = text.len() <= 1000 && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    (is_plain && text.starts_with('/') && !text.starts_with("//")).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_sent_to_another_site() {
        let form = |next: &str| {
            let next: String = form_urlencoded::byte_serialize(next.as_bytes()).collect();
            Form::parse(format!("a=b&next={next}").as_bytes()).path("next")
        };
        assert_eq!(form("/jobs/7?a=b"), "/jobs/7?a=b");
        for other in
            ["//evil.example", "/\\evil.example", "https://evil.example", "", "jobs", "/a\r\nset-cookie: b", "/ä"]
        {
            assert_eq!(form(other), "/", "{other:?}");
        }
    }
}
