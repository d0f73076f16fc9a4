//! Saved views, each as the options that ask it.

use chrono::{DateTime, Utc};
use tandem_proto::v1::{AskRequest, View};

use super::{
    table::{Rows, Style},
    units,
};
use crate::time::utc;

/// Names for `--view`: those of others with their owner.
pub(crate) fn table(views: &[View], with_owner: bool, style: Style, now: DateTime<Utc>) -> String {
    let mut rows = Rows::new(style, &["VIEW", "ASKS", "SAVED"]);
    for view in views {
        let name = if with_owner { format!("{}/{}", view.owner, view.name) } else { view.name.clone() };
        let saved = utc(&view.made_at).map_or_else(String::new, |at| units::age(at, now));
        rows.row([name.into(), view.question.as_ref().map_or_else(String::new, options).into(), saved.into()]);
    }
    rows.to_string()
}

/// As a person would write them.
fn options(question: &AskRequest) -> String {
    let mut words = Vec::new();
    if !question.target.is_empty() {
        words.push(question.target.clone());
    }
    if !question.r#where.is_empty() {
        words.push(format!("--where \"{}\"", question.r#where));
    }
    for (name, value) in [("--owner", &question.owner), ("--since", &question.since), ("--tag", &question.tag)] {
        if !value.is_empty() {
            words.push(format!("{name} {value}"));
        }
    }
    if question.mine {
        words.push("--mine".to_owned());
    }
    for (name, list) in [("--by", &question.by), ("--columns", &question.columns)] {
        if !list.is_empty() {
            words.push(format!("{name} {}", list.join(",")));
        }
    }
    if !question.order.is_empty() {
        words.push(format!("--best {}", question.order));
    }
    if question.direction() == tandem_proto::v1::AskDirection::Ascending {
        words.push("--ascending".to_owned());
    }
    if words.is_empty() { "all jobs".to_owned() } else { words.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_is_shown_as_it_is_asked() {
        let text = |text: &str| text.to_owned();
        let mut question = AskRequest {
            r#where: text("stage = 'linear'"),
            mine: true,
            tag: text("v2"),
            by: vec![text("encoder"), text("seed")],
            order: text("loss"),
            ..AskRequest::default()
        };
        question.set_direction(tandem_proto::v1::AskDirection::Ascending);
        let view = View { owner: text("ada"), name: text("probes"), question: Some(question), made_at: None };
        let shown = table(&[view, View::default()], true, Style::default(), DateTime::UNIX_EPOCH);
        assert!(shown.contains("ada/probes"), "{shown}");
        assert!(
            shown.contains("--where \"stage = 'linear'\" --tag v2 --mine --by encoder,seed --best loss --ascending"),
            "{shown}"
        );
        assert_eq!(options(&AskRequest::default()), "all jobs");
    }
}
