//! Whether a form was sent by a page of this coordinator: a cookie alone does not show that.

use axum::http::{HeaderMap, Uri, header};

/// Where a request says that it comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A page of this port.
    Own,
    /// A file, which has none: as `tandem web` opens it.
    Null,
    Other,
    Absent,
}

/// By what the browser says, which a page of others cannot change. With HTTP/2 the host stands in `uri`.
pub(crate) fn origin(headers: &HeaderMap, uri: &Uri, is_tls: bool) -> Origin {
    let mut said = headers.get_all(header::ORIGIN).iter();
    let (Some(first), None) = (said.next(), said.next()) else {
        return if headers.contains_key(header::ORIGIN) { Origin::Other } else { Origin::Absent };
    };
    let host = uri.authority().map(|authority| authority.as_str());
    let host = host.or_else(|| headers.get(header::HOST).and_then(|host| host.to_str().ok()));
    match (first.to_str().unwrap_or_default(), host) {
        ("null", _) => Origin::Null,
        (said, Some(host)) => {
            let authority = match said.split_once("://") {
                Some(("https", authority)) => Some(authority),
                // Before a port without TLS something else may speak it.
                Some(("http", authority)) if !is_tls => Some(authority),
                _ => None,
            };
            if authority.is_some_and(|authority| authority.eq_ignore_ascii_case(host)) {
                Origin::Own
            } else {
                Origin::Other
            }
        }
        (_, None) => Origin::Other,
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn of(said: &[&'static str], host: &'static str, is_tls: bool) -> Origin {
        let mut headers = HeaderMap::from_iter([(header::HOST, HeaderValue::from_static(host))]);
        for one in said {
            headers.append(header::ORIGIN, HeaderValue::from_static(one));
        }
        origin(&headers, &Uri::from_static("/actions/cancel"), is_tls)
    }

    #[test]
    fn only_the_same_host_and_port_are_our_own() {
        assert_eq!(of(&["https://box:7077"], "box:7077", true), Origin::Own);
        assert_eq!(of(&["http://box:7077"], "box:7077", true), Origin::Other);
        assert_eq!(of(&["http://127.0.0.1:7077"], "127.0.0.1:7077", false), Origin::Own);
        for other in
            ["https://box", "https://box:7078", "https://box:7077.evil.example", "https://evil.example", "box:7077", ""]
        {
            assert_eq!(of(&[other], "box:7077", true), Origin::Other, "{other}");
        }
        assert_eq!(of(&["null"], "box:7077", true), Origin::Null);
        assert_eq!(of(&[], "box:7077", true), Origin::Absent);
        assert_eq!(of(&["https://box:7077", "https://box:7077"], "box:7077", true), Origin::Other);
    }

    #[test]
    fn with_http_2_the_host_is_that_of_the_address() {
        let headers = HeaderMap::from_iter([(header::ORIGIN, HeaderValue::from_static("https://box:7077"))]);
        assert_eq!(origin(&headers, &Uri::from_static("https://box:7077/actions/cancel"), true), Origin::Own);
        assert_eq!(origin(&headers, &Uri::from_static("https://other:7077/actions/cancel"), true), Origin::Other);
    }
}
