//! The policies of a house.

use chrono::{DateTime, Utc};
use tandem_proto::v1::Policy;

use super::{
    table::{Rows, Style},
    units,
};
use crate::{printable::line, time::utc};

pub(crate) fn history(policies: &[Policy], style: Style, now: DateTime<Utc>) -> String {
    let mut rows = Rows::new(style, &["VERSION", "SET BY", "AGE", "CHANGED"]);
    for policy in policies {
        let nothing = ["nothing: it means what the one before it did".to_owned()];
        let changes = if policy.changes.is_empty() { &nothing } else { policy.changes.as_slice() };
        for (at, change) in changes.iter().enumerate() {
            let first = |text: String| if at == 0 { text } else { String::new() };
            rows.row([
                first(policy.version.to_string()).into(),
                first(line(&policy.set_by).into_owned()).into(),
                first(utc(&policy.set_at).map(|at| units::age(at, now)).unwrap_or_default()).into(),
                (&*line(change)).into(),
            ]);
        }
    }
    rows.right(0);
    rows.to_string()
}
