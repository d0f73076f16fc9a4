//! Who may use a house, their tokens, and the houses that were joined.

use chrono::{DateTime, Utc};
use serde::Serialize;
use tandem_proto::v1::{Person, Token, WhoAmIResponse};

use super::{
    table::{Rows, Style, Text, Tone, pairs},
    units,
};
use crate::time::utc;

/// A context, as it is listed.
#[derive(Serialize)]
pub(crate) struct ContextRow {
    pub(crate) name: String,
    pub(crate) is_current: bool,
    pub(crate) servers: Vec<String>,
    /// The token's id, which is no secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) fingerprint: Option<String>,
    /// Why it cannot be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) problem: Option<String>,
}

pub(crate) fn contexts(contexts: &[ContextRow], style: Style) -> String {
    let mut rows = Rows::new(style, &["", "CONTEXT", "TOKEN", "SERVERS"]);
    for context in contexts {
        let mark = if context.is_current { "*" } else { "" };
        let servers = match &context.problem {
            Some(problem) => Text::new(problem.as_str(), Tone::Bad),
            None => context.servers.join(", ").into(),
        };
        let token = context.token.as_deref().unwrap_or("-");
        rows.row([mark.into(), context.name.as_str().into(), token.into(), servers]);
    }
    rows.to_string()
}

pub(crate) fn people(people: &[Person], style: Style, now: DateTime<Utc>) -> String {
    let mut rows = Rows::new(style, &["PERSON", "ROLE", "LOGIN", "TOKENS", "STATE", "SINCE"]);
    for person in people {
        let state = if person.disabled { Text::new("disabled", Tone::Bad) } else { Text::new("active", Tone::Plain) };
        let login = if person.login.is_empty() { "-" } else { &person.login };
        rows.row([
            person.name.as_str().into(),
            person.role.as_str().into(),
            login.into(),
            person.tokens.to_string().into(),
            state,
            utc(&person.made_at).map(|at| units::age(at, now)).unwrap_or_default().into(),
        ]);
    }
    rows.right(3);
    rows.to_string()
}

pub(crate) fn tokens(tokens: &[Token], style: Style, now: DateTime<Utc>) -> String {
    let mut rows = Rows::new(style, &["TOKEN", "NAME", "ROLE", "OF", "STATE", "EXPIRES", "USED"]);
    for token in tokens {
        let tone = match token.state.as_str() {
            "good" => Tone::Plain,
            "expired" => Tone::Faint,
            _ => Tone::Bad,
        };
        let of = match (token.person.as_str(), token.worker.as_str()) {
            ("", "") => "-",
            ("", worker) => worker,
            (person, _) => person,
        };
        let day = |at: DateTime<Utc>| at.format("%Y-%m-%d").to_string();
        rows.row([
            token.id.as_str().into(),
            token.name.as_str().into(),
            token.role.as_str().into(),
            of.into(),
            Text::new(token.state.as_str(), tone),
            utc(&token.expires_at).map_or_else(|| "never".to_owned(), day).into(),
            utc(&token.last_used).map_or_else(|| "never".to_owned(), |at| units::age(at, now)).into(),
        ]);
    }
    rows.to_string()
}

pub(crate) fn who_am_i(who: &WhoAmIResponse, server: &str) -> String {
    let by = if who.token_id.is_empty() {
        "the kernel's word, by the socket".to_owned()
    } else {
        format!("token {}", who.token_id)
    };
    pairs(&[
        ("you are", who.name.clone()),
        ("role", who.role.clone()),
        ("known by", by),
        ("coordinator", server.to_owned()),
    ])
}

#[cfg(test)]
mod tests {
    use tandem_proto::convert::Timestamp;

    use super::*;

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(1_700_000_000, 0).unwrap()
    }

    fn at(seconds: i64) -> Option<Timestamp> {
        Some(Timestamp { seconds: 1_700_000_000 + seconds, nanos: 0 })
    }

    #[test]
    fn a_table_fits_a_terminal() {
        let token = Token {
            id: "q_R7s-0A".to_owned(),
            name: "laptop".to_owned(),
            role: "submitter".to_owned(),
            person: "ann".to_owned(),
            state: "good".to_owned(),
            expires_at: at(86_400),
            last_used: at(-120),
            ..Token::default()
        };
        let worker = Token {
            person: String::new(),
            worker: "gpu-0".to_owned(),
            expires_at: None,
            last_used: None,
            ..token.clone()
        };
        let text = tokens(&[token, worker], Style::default(), now());
        let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines[1], ["q_R7s-0A", "laptop", "submitter", "ann", "good", "2023-11-15", "2", "min"]);
        assert_eq!(lines[2][3..], ["gpu-0", "good", "never", "never"]);
        let person = Person {
            name: "a".repeat(32),
            role: "submitter".to_owned(),
            login: "ann".to_owned(),
            disabled: true,
            made_at: at(-3600),
            tokens: 12,
        };
        let text = text + &people(&[person], Style::default(), now());
        assert!(text.lines().all(|line| line.len() <= 80), "{text}");
        assert!(text.contains("disabled") && text.contains("1 h"), "{text}");
    }

    #[test]
    fn the_current_context_is_marked_and_a_damaged_one_says_so() {
        let row = |name: &str, is_current, problem: Option<&str>| ContextRow {
            name: name.to_owned(),
            is_current,
            servers: vec!["https://box:7077".to_owned()],
            token: None,
            fingerprint: None,
            problem: problem.map(str::to_owned),
        };
        let text = contexts(&[row("a", false, Some("cannot use it")), row("lab", true, None)], Style::default());
        assert!(text.contains("*  lab") && text.contains("cannot use it"), "{text}");
    }

    #[test]
    fn one_is_told_how_one_is_known() {
        let who = |token: &str| WhoAmIResponse {
            name: "ann".to_owned(),
            role: "admin".to_owned(),
            once: false,
            token_id: token.to_owned(),
        };
        assert!(who_am_i(&who("abcdefgh"), "https://box:1").contains("token abcdefgh"));
        assert!(who_am_i(&who(""), "unix:/t").contains("by the socket"));
    }
}
