//! What a browser is known by: one cookie with the secret of its session. No method of gRPC takes it.

use axum::http::{HeaderMap, HeaderValue, header};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use tandem_domain::access::session::Secret;

/// Longest text that is kept for the next page.
const TOLD_MAX: usize = 1000;

/// How cookies are named and guarded here.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cookies {
    /// The port speaks TLS: the browser then keeps them from everything else, other hosts of the same domain included.
    pub(crate) secure: bool,
}

/// What a browser sent.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    Nothing,
    /// It can be of no session.
    Malformed,
    Session(Secret),
}

impl Cookies {
    fn session_name(self) -> &'static str {
        if self.secure { "__Host-tandem" } else { "tandem_session" }
    }

    fn told_name(self) -> &'static str {
        if self.secure { "__Host-tandem-told" } else { "tandem_told" }
    }

    pub(crate) fn session(self, headers: &HeaderMap) -> Sent {
        match find(headers, self.session_name()) {
            None => Sent::Nothing,
            Some(text) => Secret::parse(text).map_or(Sent::Malformed, Sent::Session),
        }
    }

    pub(crate) fn begin(self, secret: &Secret, lasts: std::time::Duration) -> HeaderValue {
        self.set(self.session_name(), secret.reveal(), lasts.as_secs())
    }

    pub(crate) fn clear(self) -> HeaderValue {
        self.set(self.session_name(), "", 0)
    }

    /// What the next page says first: what became of an action.
    pub(crate) fn tell(self, text: &str) -> HeaderValue {
        let end = text.char_indices().map(|(at, char)| at + char.len_utf8()).take_while(|end| *end <= TOLD_MAX).last();
        let text = &text[..end.unwrap_or(0)];
        self.set(self.told_name(), &BASE64_URL_SAFE_NO_PAD.encode(text), 60)
    }

    pub(crate) fn told(self, headers: &HeaderMap) -> Option<String> {
        let text = find(headers, self.told_name()).filter(|text| !text.is_empty() && text.len() < 2 * TOLD_MAX)?;
        String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(text).ok()?).ok()
    }

    pub(crate) fn clear_told(self) -> HeaderValue {
        self.set(self.told_name(), "", 0)
    }

    fn set(self, name: &str, value: &str, max_age: u64) -> HeaderValue {
        let secure = if self.secure { "; Secure" } else { "" };
        let text = format!("{name}={value}; Path=/; Max-Age={max_age}; HttpOnly; SameSite=Strict{secure}");
        // Names and values are letters, digits, `_` and `-`.
        HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static(""))
    }
}

fn find<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let sent = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = sent.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tandem_domain::access::session::RANDOM_BYTES;

    use super::*;

    fn sent(line: &str) -> HeaderMap {
        HeaderMap::from_iter([(header::COOKIE, HeaderValue::from_str(line).unwrap())])
    }

    #[test]
    fn a_session_comes_back_and_no_other_name_stands_for_it() {
        let secret = Secret::new(&[3; RANDOM_BYTES]);
        for (secure, name) in [(false, "tandem_session"), (true, "__Host-tandem")] {
            let cookies = Cookies { secure };
            let set = cookies.begin(&secret, Duration::from_secs(60)).to_str().unwrap().to_owned();
            assert!(set.contains("; HttpOnly; SameSite=Strict") && set.contains("; Path=/"), "{set}");
            assert_eq!(set.ends_with("; Secure"), secure, "{set}");
            let line = format!("a=b; {name}={}", secret.reveal());
            assert_eq!(cookies.session(&sent(&line)), Sent::Session(secret.clone()));
            assert_eq!(Cookies { secure: !secure }.session(&sent(&line)), Sent::Nothing);
            assert_eq!(cookies.session(&sent(&format!("{name}=x"))), Sent::Malformed);
        }
    }

    #[test]
    fn what_is_told_comes_back_cut_between_characters() {
        let cookies = Cookies { secure: false };
        let told = |text: &str| {
            let set = cookies.tell(text).to_str().unwrap().to_owned();
            cookies.told(&sent(set.split(';').next().unwrap())).unwrap_or_default()
        };
        assert_eq!(told("cancelled 2 jobs; größe\n"), "cancelled 2 jobs; größe\n");
        assert_eq!(told(&"ä".repeat(900)), "ä".repeat(500));
        assert_eq!(cookies.told(&sent("tandem_told=%%%")), None);
    }
}
