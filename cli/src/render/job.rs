//! The table of jobs, and parts of it that other views share.

use chrono::{DateTime, Utc};
use tandem_proto::v1::{AttemptState, Job, JobState, Scalar};

use super::{
    state,
    table::{Rows, Style, Text, Tone},
    units,
};
use crate::time::utc;

/// One line per job: `tandem list`, `tandem show EXPERIMENT`, `tandem cancel`.
pub(crate) fn table(jobs: &[Job], style: Style, now: DateTime<Utc>) -> String {
    let length = units::id_length(jobs.iter().map(|job| job.id.as_str()));
    let heads = [
        "ID",
        "EXPERIMENT",
        "JOB",
        "STAGE",
        "STATE",
        "PRIORITY",
        "PROGRESS",
        "TIME",
        "LEFT",
        "OWNER",
        "AGE",
        "TAGS",
        "NOTE",
    ];
    let mut rows = Rows::new(style, &heads);
    for job in jobs {
        let duration = |seconds: Option<f64>| seconds.map(units::duration).unwrap_or_default();
        rows.row([
            units::short_id(&job.id, length).into(),
            job.experiment_name.as_str().into(),
            job.name.as_str().into(),
            job.stage.as_str().into(),
            state::job_cell(job.state()),
            if job.priority == 0 { String::new() } else { job.priority.to_string() }.into(),
            progress(job).into(),
            duration(seconds(job, now)).into(),
            duration(left(job)).into(),
            job.owner.as_str().into(),
            utc(&job.created_at).map(|at| units::age(at, now)).unwrap_or_default().into(),
            job.tags.join(", ").into(),
            Text::new(note(job), Tone::Faint),
        ]);
    }
    rows.unless_empty(&["PRIORITY", "TIME", "LEFT", "TAGS"]);
    rows.less_needed(&[
        ("TAGS", 10),
        ("STAGE", 9),
        ("AGE", 8),
        ("OWNER", 7),
        ("TIME", 6),
        ("LEFT", 5),
        ("PRIORITY", 4),
        ("PROGRESS", 3),
        ("EXPERIMENT", 2),
    ]);
    rows.to_string()
}

/// The job's reason, what somebody has noted, or that its attack failed checks of masked gradients: its figures may be too good.
pub(crate) fn note(job: &Job) -> String {
    match value(&job.results, "gate_failed") {
        Some(failed) if failed > 0.0 && job.reason.is_empty() => {
            let (experiment, name) = (&job.experiment_name, &job.name);
            format!("{failed} of the attack's checks failed: see `tandem show {experiment}/{name}`")
        }
        _ if job.reason.is_empty() => job.note.as_ref().map(|note| note.text.clone()).unwrap_or_default(),
        _ => job.reason.clone(),
    }
}

/// `epoch 3/10, 42 %`; empty unless it runs.
pub(crate) fn progress(job: &Job) -> String {
    let Some(progress) = job.progress.as_ref().filter(|_| job.state() == JobState::Running) else {
        return String::new();
    };
    // All steps are made: how many says nothing any more.
    if progress.steps == 0 || progress.phase == state::attempt(AttemptState::Verifying) {
        return progress.phase.clone();
    }
    let percent = 100.0 * progress.step as f64 / progress.steps as f64;
    if progress.epochs == 0 || job.stage == "attack" {
        return format!("{percent:.0} %");
    }
    format!("epoch {}/{}, {percent:.0} %", progress.epoch, progress.epochs)
}

/// Number of ranks: `4`, or `1..4` if the scheduler may choose.
pub(crate) fn gang(min: u32, max: u32) -> String {
    if min == max { max.to_string() } else { format!("{min}..{max}") }
}

pub(crate) fn value(scalars: &[Scalar], name: &str) -> Option<f64> {
    scalars.iter().find(|scalar| scalar.name == name).map(|scalar| scalar.value)
}

/// Seconds from the first start of the job to its end, or to `now`.
pub(crate) fn seconds(job: &Job, now: DateTime<Utc>) -> Option<f64> {
    let start = utc(&job.started_at)?;
    let end = utc(&job.finished_at).unwrap_or(now);
    Some((end - start).num_milliseconds().max(0) as f64 / 1000.0)
}

/// Seconds until its last step, as its ranks expect; none unless it runs.
fn left(job: &Job) -> Option<f64> {
    let progress = job.progress.as_ref().filter(|_| job.state() == JobState::Running)?;
    Some(progress.seconds_left).filter(|left| *left > 0.0)
}

#[cfg(test)]
pub(crate) mod tests {
    use tandem_proto::v1::Progress;

    use super::*;

    pub(crate) fn running() -> Job {
        Job {
            id: "0199a1b2-c3d4-7aaa-8000-000000000001".to_owned(),
            experiment_name: "quickstart".to_owned(),
            name: "encoder".to_owned(),
            stage: "contrastive".to_owned(),
            state: JobState::Running.into(),
            owner: "ann".to_owned(),
            progress: Some(Progress {
                phase: "training".to_owned(),
                step: 42,
                steps: 100,
                epoch: 3,
                epochs: 10,
                images_per_second: 1234.5,
                seconds_left: 95.0,
                metrics: vec![
                    Scalar { name: "loss".to_owned(), value: 4.5 },
                    Scalar { name: "knn_accuracy".to_owned(), value: 0.451 },
                ],
            }),
            ..Job::default()
        }
    }

    #[test]
    fn only_running_jobs_show_progress() {
        let mut job = running();
        assert_eq!(progress(&job), "epoch 3/10, 42 %");
        job.progress.as_mut().unwrap().phase = "verifying".to_owned();
        assert_eq!(progress(&job), "verifying");
        job.state = JobState::Queued.into();
        assert_eq!(progress(&job), "");
    }

    #[test]
    fn a_job_is_one_line_with_its_reason() {
        let mut waiting = running();
        waiting.state = JobState::Queued.into();
        waiting.reason = "waits for 2 workers; cpu-1 busy until about 14:20".to_owned();
        let text = table(&[waiting], Style::default(), DateTime::UNIX_EPOCH);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 2);
        assert!(lines[1].starts_with("0199a1b2  quickstart  encoder  contrastive  queued"), "{text}");
        assert!(lines[1].ends_with("busy until about 14:20"), "{text}");
    }

    #[test]
    fn time_taken_time_left_and_a_priority_have_columns_where_there_are_any() {
        let now = DateTime::UNIX_EPOCH + chrono::TimeDelta::seconds(200);
        let at = |seconds| {
            Some(tandem_proto::convert::timestamp(DateTime::UNIX_EPOCH + chrono::TimeDelta::seconds(seconds)))
        };
        let runs = Job { started_at: at(80), priority: -5, ..running() };
        let ended = Job { finished_at: at(110), state: JobState::Succeeded.into(), priority: 0, ..runs.clone() };
        let text = table(&[runs, ended.clone()], Style::default(), now);
        let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split("  ").map(str::trim).collect()).collect();
        for (head, cells) in [("PRIORITY", ["-5", ""]), ("TIME", ["2 min 00 s", "30 s"]), ("LEFT", ["1 min 35 s", ""])]
        {
            assert!(lines[0].contains(&head), "{text}");
            assert!(cells.iter().zip(&lines[1..]).all(|(cell, line)| line.contains(cell)), "{head}: {text}");
        }
        let text = table(&[ended], Style::default(), now);
        assert!(text.contains("TIME") && !text.contains("LEFT") && !text.contains("PRIORITY"), "{text}");
    }

    #[test]
    fn a_gang_is_a_number_or_a_range() {
        assert_eq!(gang(4, 4), "4");
        assert_eq!(gang(1, 4), "1..4");
    }
}
