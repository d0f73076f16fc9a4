//! Results side by side.

use chrono::{DateTime, Utc};
use tandem_proto::v1::Job;

use super::{
    job, pivot, state,
    table::{Rows, Style, Text, Tone},
    units,
};

/// Names of results in the order people look at them, with their headers.
const KNOWN: [(&str, &str); 9] = [
    ("loss", "LOSS"),
    ("knn_accuracy", "KNN"),
    ("validation_accuracy", "VALID"),
    ("test_accuracy", "TEST"),
    ("clean_error", "CLEAN ERROR"),
    ("median_distance", "MEDIAN"),
    ("images", "IMAGES"),
    ("peak_memory_bytes", "MEMORY"),
    ("seconds", "TIME"),
];

/// Where a result stands among those that people look at; of all others behind these.
pub(crate) fn place(name: &str) -> usize {
    KNOWN.iter().position(|(known, _)| *known == name).unwrap_or(KNOWN.len())
}

/// One line per job. A column that no job has a value for is left out; `extra` names one more.
pub(crate) fn table(jobs: &[Job], extra: Option<&str>, style: Style, now: DateTime<Utc>) -> String {
    let columns = columns(jobs, extra, now);
    let upper: Vec<String> = columns.iter().map(|column| column.header.to_uppercase()).collect();
    let mut headers = vec!["ID", "EXPERIMENT", "JOB", "STATE"];
    headers.extend(upper.iter().map(String::as_str));
    let with_notes = jobs.iter().any(|job| !job::note(job).is_empty());
    if with_notes {
        headers.push("NOTE");
    }
    let length = units::id_length(jobs.iter().map(|job| job.id.as_str()));
    let mut rows = Rows::new(style, &headers);
    for job in jobs {
        let mut cells: Vec<Text> = vec![
            units::short_id(&job.id, length).into(),
            job.experiment_name.as_str().into(),
            job.name.as_str().into(),
            state::job_cell(job.state()),
        ];
        cells.extend(columns.iter().map(|column| match value(job, column.name, now) {
            Some(value) => units::figure(column.name, value).into(),
            None => Text::new("-", Tone::Faint),
        }));
        if with_notes {
            cells.push(Text::new(job::note(job), Tone::Faint));
        }
        rows.row(cells);
    }
    (4..4 + columns.len()).for_each(|column| rows.right(column));
    rows.less_needed(&[("MEMORY", 5), ("IMAGES", 4), ("TIME", 3), ("STATE", 2), ("EXPERIMENT", 1)]);
    rows.to_string()
}

struct Column<'a> {
    name: &'a str,
    header: &'a str,
}

fn columns<'a>(jobs: &[Job], extra: Option<&'a str>, now: DateTime<Utc>) -> Vec<Column<'a>> {
    let mut columns: Vec<Column<'_>> = KNOWN
        .iter()
        .filter(|(name, _)| jobs.iter().any(|job| value(job, name, now).is_some()))
        .map(|(name, header)| Column { name, header })
        .collect();
    if let Some(name) = extra.filter(|name| KNOWN.iter().all(|(known, _)| known != name)) {
        columns.push(Column { name, header: name });
    }
    columns
}

fn value(job: &Job, name: &str, now: DateTime<Utc>) -> Option<f64> {
    match name {
        "seconds" => job::value(&job.results, name).or_else(|| job::seconds(job, now)),
        "test_accuracy" => pivot::test_accuracy(job),
        _ => job::value(&job.results, name),
    }
}

#[cfg(test)]
mod tests {
    use tandem_proto::v1::{JobState, Scalar};

    use super::*;

    fn finished(name: &str, results: &[(&str, f64)]) -> Job {
        let scalar = |(name, value): &(&str, f64)| Scalar { name: (*name).to_owned(), value: *value };
        Job {
            id: format!("{name}-0123456789"),
            experiment_name: "quickstart".to_owned(),
            name: name.to_owned(),
            state: JobState::Succeeded.into(),
            results: results.iter().map(scalar).collect(),
            ..Job::default()
        }
    }

    #[test]
    fn columns_are_those_that_have_values() {
        let jobs = [
            finished("encoder", &[("loss", 4.25), ("knn_accuracy", 0.451), ("seconds", 75.0)]),
            finished("linear", &[("linear_accuracy", 0.6234), ("alignment", 0.25)]),
        ];
        let text = table(&jobs, None, Style::default(), DateTime::UNIX_EPOCH);
        let lines: Vec<&str> = text.lines().collect();
        let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(words(lines[0]), ["ID", "EXPERIMENT", "JOB", "STATE", "LOSS", "KNN", "TEST", "TIME"]);
        assert_eq!(words(lines[1])[4..], ["4.250", "45.1", "%", "-", "1", "min", "15", "s"]);
        assert_eq!(words(lines[2])[4..], ["-", "-", "62.3", "%", "-"]);
        let attack = finished(
            "attack",
            &[("clean_error", 0.306), ("median_distance", 0.2271), ("peak_memory_bytes", 512.0 * 1048576.0)],
        );
        let text = table(&[attack], None, Style::default(), DateTime::UNIX_EPOCH);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(words(lines[0])[4..], ["CLEAN", "ERROR", "MEDIAN", "MEMORY"], "a column for what has a value");
        assert_eq!(words(lines[1])[4..], ["30.6", "%", "0.2271", "512.0", "MiB"]);
        let checked = |failed: f64| {
            let attack = finished("attack", &[("clean_error", 0.1), ("gate_failed", failed)]);
            table(&[attack], None, Style::default(), DateTime::UNIX_EPOCH)
        };
        assert!(checked(2.0).contains("2 of the attack's checks failed") && !checked(0.0).contains("NOTE"));
        let with_extra = table(&jobs, Some("alignment"), Style::default(), DateTime::UNIX_EPOCH);
        assert!(with_extra.lines().next().is_some_and(|header| header.ends_with("ALIGNMENT")), "{with_extra}");
    }
}
