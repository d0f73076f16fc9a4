//! What every answer carries that a browser may show: a policy that lets nothing in from elsewhere; and words for what went wrong.

use axum::{
    body::{Body, to_bytes},
    extract::Request,
    http::{HeaderMap, HeaderName, HeaderValue, Method, header},
    middleware::Next,
    response::Response,
};

use super::frame;

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'self'; frame-ancestors 'none'; base-uri 'none'";
/// Longer than what any refusal says.
const WORDS_MAX: usize = 64 * 1024;

const HEADERS: [(HeaderName, &str); 5] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    // Nothing to others. With `no-referrer` a form of our own would come without its origin, too (Fetch standard, 3.2).
    (header::REFERRER_POLICY, "same-origin"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
];

/// In front of everything. What speaks gRPC passes as it is.
pub(crate) async fn dress(request: Request, next: Next) -> Response {
    let starts = |headers: &HeaderMap, name: HeaderName, with: &[u8]| {
        headers.get(name).is_some_and(|value| value.as_bytes().starts_with(with))
    };
    if starts(request.headers(), header::CONTENT_TYPE, b"application/grpc") {
        return next.run(request).await;
    }
    let accept = request.headers().get(header::ACCEPT).map(HeaderValue::as_bytes).unwrap_or_default();
    let shows_pages = accept.windows(9).any(|part| part == b"text/html") && request.method() != Method::HEAD;
    let mut answer = next.run(request).await;
    if shows_pages && answer.status().as_u16() >= 400 && starts(answer.headers(), header::CONTENT_TYPE, b"text/plain") {
        answer = told(answer).await;
    }
    let headers = answer.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    answer
}

/// The same answer, as a page.
async fn told(answer: Response) -> Response {
    let (parts, body) = answer.into_parts();
    let words = to_bytes(body, WORDS_MAX).await.unwrap_or_default();
    match frame::problem(parts.status, &String::from_utf8_lossy(&words)) {
        Ok(mut page) => {
            for cookie in parts.headers.get_all(header::SET_COOKIE) {
                page.headers_mut().append(header::SET_COOKIE, cookie.clone());
            }
            page
        }
        Err(_) => Response::from_parts(parts, Body::from(words)),
    }
}
