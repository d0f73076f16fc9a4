//! What goes by age, by kind.

use tandem_proto::v1::{CleanResponse, Cleaned};

use super::{
    table::{Rows, Style, Text, Tone},
    units,
};

/// Adds what one answer says to those before it.
pub(crate) fn add(all: &mut CleanResponse, step: CleanResponse) {
    for more in step.kinds {
        let Some(known) = all.kinds.iter_mut().find(|known| known.what == more.what) else {
            all.kinds.push(more);
            continue;
        };
        known.objects += more.objects;
        known.items += more.items;
        known.bytes += more.bytes;
        for stays in more.stays {
            match known.stays.iter_mut().find(|one| one.why == stays.why) {
                Some(one) => one.count += stays.count,
                None => known.stays.push(stays),
            }
        }
    }
    (all.after, all.policy_version) = (step.after, step.policy_version);
}

/// Nothing goes, and nothing was kept from it: the policy says nothing of age.
pub(crate) fn is_nothing(all: &CleanResponse) -> bool {
    all.kinds.iter().all(|kind| kind.objects == 0 && kind.stays.is_empty())
}

pub(crate) fn page(all: &CleanResponse, style: Style) -> String {
    let mut rows = Rows::new(style, &["WHAT", "GOES", "SIZE", "STAYS"]);
    for kind in &all.kinds {
        let stays: Vec<String> = kind.stays.iter().map(|one| format!("{} {}", one.count, one.why)).collect();
        let size = if kind.bytes == 0 { String::new() } else { units::bytes(kind.bytes) };
        rows.row([what(kind).into(), goes(kind).into(), size.into(), Text::new(stays.join("; "), Tone::Faint)]);
    }
    rows.right(2);
    rows.to_string()
}

fn what(kind: &Cleaned) -> &str {
    match kind.what.as_str() {
        "archive" => "archived",
        "delete" => "deleted",
        other => other,
    }
}

fn goes(kind: &Cleaned) -> String {
    match (kind.objects, kind.what.as_str()) {
        (0, _) => "nothing".to_owned(),
        (objects, "archive") => format!("{objects} experiments"),
        (objects, "delete") => format!("{objects} experiments, {} jobs", kind.items),
        (objects, what) => format!("{} {what} of {objects} jobs", units::count(kind.items)),
    }
}

#[cfg(test)]
mod tests {
    use tandem_proto::v1::Stays;

    use super::*;

    #[test]
    fn steps_are_added_up_by_kind_and_reason() {
        let stays = |why: &str, count| Stays { why: why.to_owned(), count };
        let kind = |what: &str, objects, stays| Cleaned {
            what: what.to_owned(),
            objects,
            items: 3 * objects,
            bytes: objects * 1_000_000,
            stays,
        };
        let step = |kinds, after: &str| CleanResponse { kinds, after: after.to_owned(), policy_version: 4 };
        let mut all = CleanResponse::default();
        add(&mut all, step(vec![kind("checkpoints", 2, vec![stays("tagged", 1)])], "x"));
        add(&mut all, step(vec![kind("checkpoints", 1, vec![stays("tagged", 1), stays("young", 5)])], "y"));
        add(&mut all, step(vec![kind("delete", 0, vec![])], ""));
        assert!(all.after.is_empty() && !is_nothing(&all));
        let text = page(&all, Style::default());
        for part in ["9 checkpoints of 3 jobs", "2.9 MiB", "2 tagged; 5 young", "deleted", "nothing"] {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert!(is_nothing(&step(vec![kind("delete", 0, vec![])], "")));
    }
}
