//! The table of experiments.

use chrono::{DateTime, Utc};
use tandem_proto::v1::ExperimentSummary;

use super::{
    progress,
    table::{Rows, Style, Text, Tone},
    units,
};
use crate::time::utc;

/// One line per experiment: `tandem list --experiments`.
pub(crate) fn table(experiments: &[ExperimentSummary], style: Style, now: DateTime<Utc>) -> String {
    let length = units::id_length(experiments.iter().map(|one| one.id.as_str()));
    let mut rows = Rows::new(style, &["ID", "EXPERIMENT", "OWNER", "AGE", "DONE", "NOW", "TAGS", "BEST"]);
    for one in experiments {
        rows.row([
            units::short_id(&one.id, length).into(),
            one.name.as_str().into(),
            one.owner.as_str().into(),
            utc(&one.created_at).map(|at| units::age(at, now)).unwrap_or_default().into(),
            done(one).into(),
            state(one),
            one.tags.join(", ").into(),
            best(one).into(),
        ]);
    }
    rows.right(4);
    rows.unless_empty(&["TAGS"]);
    rows.less_needed(&[("TAGS", 4), ("AGE", 3), ("OWNER", 2), ("NOW", 1)]);
    rows.to_string()
}

/// `9/12`: jobs that have ended, of all.
pub(crate) fn done(one: &ExperimentSummary) -> String {
    let ended = one.succeeded + one.failed + one.cancelled;
    format!("{ended}/{}", ended + one.running + one.queued + one.blocked)
}

/// What a person asks next: what went wrong, what goes on.
fn state(one: &ExperimentSummary) -> Text {
    let counts = [
        (one.failed, "failed", Tone::Bad),
        (one.running, "running", Tone::Active),
        (one.queued, "queued", Tone::Plain),
        (one.blocked, "blocked", Tone::Faint),
        (one.cancelled, "cancelled", Tone::Faint),
    ];
    let there: Vec<_> = counts.into_iter().filter(|(count, ..)| *count > 0).collect();
    let words: Vec<String> = there.iter().map(|(count, word, _)| format!("{count} {word}")).collect();
    match there.first() {
        Some((.., tone)) => Text::new(words.join(", "), *tone),
        None if one.succeeded > 0 => Text::new("succeeded", Tone::Good),
        None => "".into(),
    }
}

/// `test 93.9 % of linear[label_fraction=1.0]`.
fn best(one: &ExperimentSummary) -> String {
    let Some(best) = &one.best else { return String::new() };
    let figure = format!("{} {}", progress::label(&best.name), units::figure(&best.name, best.value));
    if one.best_job.is_empty() { figure } else { format!("{figure} of {}", one.best_job) }
}

#[cfg(test)]
mod tests {
    use tandem_proto::v1::Scalar;

    use super::*;

    #[test]
    fn an_experiment_is_one_line() {
        let running = ExperimentSummary {
            id: "0199a1b2-c3d4-7aaa-8000-000000000001".to_owned(),
            name: "table1".to_owned(),
            owner: "ann".to_owned(),
            succeeded: 8,
            failed: 1,
            running: 2,
            blocked: 1,
            best: Some(Scalar { name: "test_accuracy".to_owned(), value: 0.9393 }),
            best_job: "linear[seed=1]".to_owned(),
            ..ExperimentSummary::default()
        };
        let done = ExperimentSummary { succeeded: 3, ..ExperimentSummary::default() };
        let text = table(&[running, done], Style::default(), DateTime::UNIX_EPOCH);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3);
        for part in ["table1", "ann", "9/12", "1 failed, 2 running, 1 blocked", "test 93.9 % of linear[seed=1]"] {
            assert!(lines[1].contains(part), "{part} in {text}");
        }
        assert!(lines[2].contains("3/3") && lines[2].ends_with("succeeded"), "{text}");
    }
}
