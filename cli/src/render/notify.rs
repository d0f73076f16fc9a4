//! Where somebody is told what has happened.

use chrono::{DateTime, Utc};
use tandem_proto::v1::NotifyTarget;

use super::{
    table::{Rows, Style, Text, Tone},
    units,
};
use crate::time::utc;

pub(crate) fn targets(targets: &[NotifyTarget], style: Style, now: DateTime<Utc>) -> String {
    let mut rows = Rows::new(style, &["ID", "KIND", "ADDRESS", "ON", "OF", "WAITING", "LAST"]);
    for target in targets {
        let last = match (target.last_error.as_str(), utc(&target.last_sent)) {
            ("", Some(at)) => Text::new(format!("sent {} ago", units::age(at, now)), Tone::Plain),
            ("", None) => Text::new("-", Tone::Faint),
            (error, _) => Text::new(error, Tone::Bad),
        };
        rows.row([
            target.id.as_str().into(),
            target.kind.as_str().into(),
            target.address.as_str().into(),
            target.on.replace(',', ", ").into(),
            if target.all { "all" } else { "own" }.into(),
            target.pending.to_string().into(),
            last,
        ]);
    }
    rows.right(5);
    rows.to_string()
}

#[cfg(test)]
mod tests {
    use tandem_proto::convert::Timestamp;

    use super::*;

    #[test]
    fn a_row_says_how_the_last_message_went() {
        let now = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
        let target = NotifyTarget {
            id: "3f2a9c01".to_owned(),
            kind: "mail".to_owned(),
            address: "ann@x\u{1b}[2J".to_owned(),
            on: "finished,waits:1h".to_owned(),
            last_sent: Some(Timestamp { seconds: 1_700_000_000 - 120, nanos: 0 }),
            ..NotifyTarget::default()
        };
        let broken = NotifyTarget { last_error: "the receiver answers 500".to_owned(), pending: 3, ..target.clone() };
        let text = targets(&[target, broken], Style::default(), now);
        assert!(!text.contains('\u{1b}') && text.contains("finished, waits:1h"), "{text}");
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[1].ends_with("0  sent 2 min ago") && lines[2].ends_with("3  the receiver answers 500"), "{text}");
    }
}
