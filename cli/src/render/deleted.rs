//! What was deleted, or would be, and what stays.

use tandem_proto::v1::{DeleteResponse, GoneJob, StayingJob};

use super::{
    table::{Rows, Style, Text, Tone},
    units,
};

/// Jobs that are listed by name; more are counted.
const LISTED: usize = 30;

pub(crate) fn page(answer: &DeleteResponse, style: Style) -> String {
    let mut page = String::new();
    let ids =
        answer.gone.iter().map(|job| job.job_id.as_str()).chain(answer.stays.iter().map(|job| job.job_id.as_str()));
    let length = units::id_length(ids);
    let mut rows = Rows::new(style, &["ID", "JOB", "FILES", "SIZE", "WHAT BECOMES OF IT"]);
    for job in answer.gone.iter().take(LISTED) {
        rows.row(gone(job, answer.dry_run, length));
    }
    for job in answer.stays.iter().take(LISTED) {
        rows.row(stays(job, length));
    }
    rows.right(2);
    rows.right(3);
    if !answer.gone.is_empty() || !answer.stays.is_empty() {
        page.push_str(&rows.to_string());
    }
    let more = answer.gone.len().saturating_sub(LISTED) + answer.stays.len().saturating_sub(LISTED);
    if more > 0 {
        page.push_str(&format!("and {more} more\n"));
    }
    let names: Vec<String> = answer.experiments.iter().map(|one| format!("{} of {}", one.name, one.owner)).collect();
    let verb = if answer.dry_run { "would go" } else { "went" };
    if !names.is_empty() {
        page.push_str(&format!("experiments that {verb}: {}\n", names.join(", ")));
    }
    let (jobs, files, bytes) = (answer.gone.len(), answer.files, units::bytes(answer.bytes));
    page.push_str(&format!("{verb}: {jobs} jobs, {files} files, {bytes}; stay: {} jobs\n", answer.stays.len()));
    page
}

fn gone(job: &GoneJob, dry_run: bool, length: usize) -> [Text; 5] {
    let what = match (dry_run, job.cancelled) {
        (true, true) => "would be cancelled, and go",
        (true, false) => "would go",
        (false, true) => "was cancelled, and went",
        (false, false) => "went",
    };
    [
        units::short_id(&job.job_id, length).into(),
        job.name.as_str().into(),
        job.files.to_string().into(),
        units::bytes(job.bytes).into(),
        Text::new(what, Tone::Plain),
    ]
}

fn stays(job: &StayingJob, length: usize) -> [Text; 5] {
    let why = if job.why.is_empty() { "stays".to_owned() } else { format!("stays: {}", job.why.join(", ")) };
    [
        units::short_id(&job.job_id, length).into(),
        job.name.as_str().into(),
        "".into(),
        "".into(),
        Text::new(why, Tone::Faint),
    ]
}

#[cfg(test)]
mod tests {
    use tandem_proto::v1::Submission;

    use super::*;

    #[test]
    fn it_says_what_goes_and_what_stays_and_why() {
        let answer = DeleteResponse {
            dry_run: true,
            experiments: vec![Submission { name: "table1".to_owned(), owner: "ann".to_owned(), ..Default::default() }],
            gone: vec![GoneJob {
                job_id: "11111111-a".to_owned(),
                name: "linear".to_owned(),
                files: 4,
                bytes: 5_000_000,
                cancelled: true,
            }],
            stays: vec![StayingJob {
                job_id: "22222222-b".to_owned(),
                name: "encoder".to_owned(),
                why: vec!["bob's `t` has it".to_owned()],
            }],
            files: 4,
            bytes: 5_000_000,
            targets: Vec::new(),
        };
        let text = page(&answer, Style::default());
        for part in [
            "would be cancelled, and go",
            "stays: bob's `t` has it",
            "table1 of ann",
            "1 jobs, 4 files, ",
            "stay: 1 jobs",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
        let many = DeleteResponse { gone: vec![answer.gone[0].clone(); 40], dry_run: false, ..answer };
        let text = page(&many, Style::default());
        assert!(text.contains("and 10 more\n") && text.contains("was cancelled, and went"), "{text}");
    }
}
