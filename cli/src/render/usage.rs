//! Who used how much.

use std::collections::BTreeMap;

use tandem_proto::v1::Usage;

use super::{
    table::{Rows, Style},
    units,
};

/// What each person had in all, and then by day.
pub(crate) fn page(usage: &[Usage], style: Style) -> String {
    format!("{}\n{}", totals(usage, style), days(usage, style))
}

fn totals(usage: &[Usage], style: Style) -> String {
    let mut sums: BTreeMap<(&str, &str), f64> = BTreeMap::new();
    let mut all: BTreeMap<&str, f64> = BTreeMap::new();
    for row in usage {
        *sums.entry((&row.person, &row.kind)).or_default() += row.device_seconds;
        *all.entry(&row.kind).or_default() += row.device_seconds;
    }
    let mut sums: Vec<_> = sums.into_iter().collect();
    sums.sort_by(|(one, a), (other, b)| b.total_cmp(a).then_with(|| one.cmp(other)));
    let mut rows = Rows::new(style, &["PERSON", "KIND", "DEVICE TIME", "SHARE"]);
    for ((person, kind), seconds) in sums {
        let share = all.get(kind).filter(|all| **all > 0.0).map_or(0.0, |all| 100.0 * seconds / all);
        rows.row([person.into(), kind.into(), units::duration(seconds).into(), format!("{share:.0} %").into()]);
    }
    rows.right(2);
    rows.right(3);
    rows.to_string()
}

fn days(usage: &[Usage], style: Style) -> String {
    let mut rows = Rows::new(style, &["DAY (UTC)", "PERSON", "KIND", "DEVICE TIME", "JOBS"]);
    for Usage { day, person, kind, device_seconds, jobs } in usage {
        rows.row([
            day.as_str().into(),
            person.as_str().into(),
            kind.as_str().into(),
            units::duration(*device_seconds).into(),
            jobs.to_string().into(),
        ]);
    }
    rows.right(3);
    rows.right(4);
    rows.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_used_most_comes_first_and_shares_are_of_a_kind() {
        let row = |day: &str, person: &str, kind: &str, hours: f64| Usage {
            day: day.to_owned(),
            person: person.to_owned(),
            kind: kind.to_owned(),
            device_seconds: 3600.0 * hours,
            jobs: 2,
        };
        let usage = [
            row("2026-11-30", "ann", "cuda", 1.0),
            row("2026-11-30", "bob", "cuda", 2.0),
            row("2026-11-29", "bob", "cuda", 1.0),
            row("2026-11-29", "ann", "cpu", 0.5),
        ];
        let text = page(&usage, Style::default());
        let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines[1], ["bob", "cuda", "3", "h", "00", "min", "75", "%"]);
        assert_eq!(lines[2], ["ann", "cuda", "1", "h", "00", "min", "25", "%"]);
        assert_eq!(lines[3], ["ann", "cpu", "30", "min", "00", "s", "100", "%"]);
        assert_eq!(lines[6], ["2026-11-30", "ann", "cuda", "1", "h", "00", "min", "2"]);
        assert!(text.lines().all(|line| line.len() <= 80), "{text}");
    }
}
