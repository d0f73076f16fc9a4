//! What a message says: the subject, and the text of a mail. The facts are one JSON document, which a webhook gets as it is.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

/// In characters; longer ones are cut.
const SUBJECT_MAX: usize = 120;
const NAME_MAX: usize = 80;
const WORDS_MAX: usize = 2000;
/// Jobs that are named; of others it is said how many.
pub const NAMED_MAX: usize = 20;

/// What has happened, as a webhook gets it. A field is never renamed; new ones may come.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// The same each time that it is sent: a receiver that has seen it forgets the second one.
    pub id: String,
    /// "finished", "failed", "job-failed", "waits", "device-lost" or "test".
    pub event: String,
    /// When it happened, RFC 3339.
    pub at: String,
    /// Who is told.
    pub person: String,
    /// One line.
    pub text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub experiment: Option<Experiment>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job: Option<Job>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worker: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Experiment {
    pub id: String,
    pub name: String,
    pub owner: String,
    pub succeeded: i64,
    pub failed: i64,
    pub cancelled: i64,
    /// That have not ended.
    pub open: i64,
    pub seconds: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub best: Option<Best>,
    /// Some of the jobs that failed, with their reasons.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<Job>,
}

/// The best figure of an experiment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Best {
    pub job: String,
    pub name: String,
    pub value: f64,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Job {
    pub id: String,
    pub name: String,
    pub reason: String,
}

/// One line of others, which steers neither a terminal nor a header: control characters, ends of lines and marks that change
/// the direction are replaced, and what is long is cut.
pub fn harmless(text: &str, longest: usize) -> String {
    let shown = |char: char| match char {
        '\t' => ' ',
        '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' => {
            '\u{fffd}'
        }
        char if char.is_control() => '\u{fffd}',
        char => char,
    };
    let mut line: String = text.chars().take(longest).map(shown).collect();
    if text.chars().nth(longest).is_some() {
        line.push_str(" ..");
    }
    line
}

/// As a part of a line.
pub fn name(text: &str) -> String {
    harmless(text, NAME_MAX)
}

/// A reason, or what an event says.
pub fn reason(text: &str) -> String {
    harmless(text, WORDS_MAX)
}

/// One line of an experiment that has ended.
pub fn ended(experiment: &Experiment) -> String {
    let of = |count: i64, word: &str| (count > 0).then(|| format!("{count} {word}"));
    let counts =
        [of(experiment.succeeded, "succeeded"), of(experiment.failed, "failed"), of(experiment.cancelled, "cancelled")];
    let counts = counts.into_iter().flatten().collect::<Vec<_>>().join(", ");
    let best = experiment
        .best
        .as_ref()
        .map(|best| format!("; best {} {} of {}", best.name, figure(&best.name, best.value), name(&best.job)));
    let has_ended = if experiment.failed + experiment.cancelled == 0 { "has finished" } else { "has ended" };
    format!("{} {has_ended}: {counts}{}", name(&experiment.name), best.unwrap_or_default())
}

/// Accuracies as per cent.
fn figure(name: &str, value: f64) -> String {
    if name.ends_with("accuracy") { format!("{:.2} %", value * 100.0) } else { format!("{value:.4}") }
}

/// `2 h 5 min`.
pub fn span(seconds: f64) -> String {
    let minutes = (seconds.max(0.0) / 60.0).floor() as u64;
    match (minutes / 1440, minutes / 60 % 24, minutes % 60) {
        (0, 0, 0) => format!("{:.0} s", seconds.max(0.0)),
        (0, 0, minutes) => format!("{minutes} min"),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}

/// Of a mail: one line, bounded.
pub fn subject(message: &Message) -> String {
    format!("[tandem] {}", harmless(&message.text, SUBJECT_MAX))
}

/// The text of a mail.
pub fn body(message: &Message) -> String {
    let mut text = format!("{}\n\n", reason(&message.text));
    let mut row = |key: &str, value: &str| {
        // To a String, which cannot fail.
        let _ = writeln!(text, "{key:<12}{}", reason(value));
    };
    if let Some(experiment) = &message.experiment {
        row("experiment", &format!("{} ({})", experiment.name, experiment.id));
        row("owner", &experiment.owner);
        if experiment.seconds > 0.0 {
            row("took", &span(experiment.seconds));
        }
        for job in &experiment.failures {
            row("failed", &format!("{}: {}", name(&job.name), job.reason));
        }
        let more = usize::try_from(experiment.failed).unwrap_or(0).saturating_sub(experiment.failures.len());
        if more > 0 {
            row("", &format!("and {more} more"));
        }
    }
    if let Some(job) = &message.job {
        row("job", &format!("{} ({})", job.name, job.id));
        row("reason", &job.reason);
    }
    if let Some(worker) = &message.worker {
        row("worker", worker);
    }
    row("at", &message.at);
    row("event", &message.id);
    let target = message.experiment.as_ref().map_or("ID", |experiment| &experiment.id);
    let look = match message.event.as_str() {
        "device-lost" => "tandem status".to_owned(),
        "test" => "tandem notify list".to_owned(),
        _ => format!("tandem show {}", name(target)),
    };
    let _ = write!(text, "\nLook closer: {look}\nNo more of these: tandem notify list, then tandem notify remove ID\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str) -> Message {
        Message {
            id: "ended/1".to_owned(),
            event: "failed".to_owned(),
            at: "2026-11-30T10:00:00Z".to_owned(),
            person: "ann".to_owned(),
            text: text.to_owned(),
            experiment: None,
            job: None,
            worker: None,
        }
    }

    #[test]
    fn an_experiment_is_one_line_with_its_counts_and_its_best() {
        let best = Best { job: "linear-1".to_owned(), name: "test_accuracy".to_owned(), value: 0.8125 };
        let all = Experiment { name: "paper".to_owned(), succeeded: 3, best: Some(best), ..Experiment::default() };
        assert_eq!(ended(&all), "paper has finished: 3 succeeded; best test_accuracy 81.25 % of linear-1");
        let some = Experiment { failed: 1, cancelled: 2, best: None, ..all };
        assert_eq!(ended(&some), "paper has ended: 3 succeeded, 1 failed, 2 cancelled");
    }

    #[test]
    fn names_of_others_steer_neither_header_nor_terminal() {
        let hostile = "a\r\nBcc: all@x\u{1b}[2J\u{202e}gnp\u{200b}\u{2028}<script>\0";
        let experiment =
            Experiment { name: hostile.to_owned(), id: hostile.to_owned(), failed: 1, ..Experiment::default() };
        let failures = vec![Job { id: String::new(), name: hostile.to_owned(), reason: hostile.to_owned() }];
        let text = ended(&experiment);
        let message = Message {
            experiment: Some(Experiment { failures, ..experiment }),
            job: Some(Job { id: hostile.to_owned(), name: hostile.to_owned(), reason: hostile.to_owned() }),
            worker: Some(hostile.to_owned()),
            ..message(&text)
        };
        let subject = subject(&message);
        assert!(!subject.chars().any(char::is_control) && !subject.contains('\u{202e}'), "{subject:?}");
        let body = body(&message);
        assert!(body.chars().all(|char| char == '\n' || !char.is_control()), "{body:?}");
        assert!(!body.contains(['\u{202e}', '\u{200b}', '\u{2028}']) && !body.contains("\nBcc"), "{body}");
    }

    #[test]
    fn what_is_long_is_cut() {
        let long = message(&"é".repeat(100_000));
        assert!(subject(&long).chars().count() <= SUBJECT_MAX + 12);
        assert!(body(&long).chars().count() < WORDS_MAX + 300);
        assert_eq!(harmless("abc", 3), "abc");
        assert_eq!(harmless("abcd", 3), "abc ..");
    }

    #[test]
    fn a_message_is_read_as_it_was_written_and_leaves_out_what_is_not_there() {
        let message = message("hello");
        let json = serde_json::to_string(&message).unwrap();
        assert!(!json.contains("null") && !json.contains("worker"), "{json}");
        assert_eq!(serde_json::from_str::<Message>(&json).unwrap(), message);
    }

    #[test]
    fn spans_are_short() {
        assert_eq!([12.0, 300.0, 7500.0, 2e5].map(span), ["12 s", "5 min", "2 h 5 min", "2 d 7 h"]);
        assert_eq!(span(f64::NAN), "0 s");
    }
}
