//! The policies of a house.

use chrono::{DateTime, Utc};
use tandem_proto::v1::Policy;

use super::{
    table::{Rows, Style},
    units,
};
use crate::{printable::line, time::utc};

pub(crate) fn history(policies: &[Policy], style: Style, now: DateTime<Utc>) -> String {
    let mut rows = Rows::new(style, &["VERSION", "SET BY", "AGE", "BYTES", "FIRST LINE"]);
    for policy in policies {
        let first = policy.toml.lines().find(|text| !text.trim().is_empty()).unwrap_or_default();
        rows.row([
            policy.version.to_string().into(),
            (&*line(&policy.set_by)).into(),
            utc(&policy.set_at).map(|at| units::age(at, now)).unwrap_or_default().into(),
            policy.toml.len().to_string().into(),
            (&*line(first)).into(),
        ]);
    }
    rows.right(0);
    rows.right(3);
    rows.to_string()
}
