//! Everything about one job or one experiment.

use chrono::{DateTime, Utc};
use tandem_proto::v1::{Attempt, Checkpoint, Event, Experiment, Job, MaxTime, Note, ShowResponse};

use super::{
    job, state,
    table::{Rows, Style, Text, Tone, pairs},
    units,
};
use crate::time::utc;

/// What a page says beside what was shown.
#[derive(Debug, Default)]
pub(crate) struct Beside {
    /// Names of what the job starts from.
    pub(crate) inputs: Vec<String>,
    /// Lines; empty if there are none.
    pub(crate) curves: String,
}

pub(crate) fn page(shown: &ShowResponse, beside: &Beside, style: Style, now: DateTime<Utc>) -> String {
    let mut page = String::new();
    // The coordinator sends attempts and events for a single job only, but a job may have none of either yet.
    match (shown.jobs.as_slice(), &shown.experiment) {
        ([job], experiment) if is_single_job(shown) => {
            page.push_str(&of_job(job, experiment.as_ref(), &beside.inputs, now))
        }
        (jobs, experiment) => {
            if let Some(experiment) = experiment {
                page.push_str(&of_experiment(experiment));
                page.push('\n');
            }
            page.push_str(&job::table(jobs, style, now));
        }
    }
    section(&mut page, "Curves", !beside.curves.is_empty(), || beside.curves.clone());
    section(&mut page, "Attempts", !shown.attempts.is_empty(), || attempts(&shown.attempts, style, now));
    section(&mut page, "Checkpoints", !shown.checkpoints.is_empty(), || checkpoints(&shown.checkpoints, style));
    section(&mut page, "Artifacts", !shown.artifacts.is_empty(), || artifacts(shown, style));
    section(&mut page, "Events", !shown.events.is_empty(), || events(&shown.events, style));
    page
}

fn is_single_job(shown: &ShowResponse) -> bool {
    shown.experiment.is_none() || !(shown.events.is_empty() && shown.attempts.is_empty())
}

fn section(page: &mut String, title: &str, there: bool, body: impl FnOnce() -> String) {
    if there {
        page.push_str(&format!("\n{title}\n{}", body()));
    }
}

fn of_job(job: &Job, experiment: Option<&Experiment>, inputs: &[String], now: DateTime<Utc>) -> String {
    let moment = |at: &_| utc(at).map(units::moment).unwrap_or_default();
    let name = experiment.map_or(job.experiment_name.as_str(), |experiment| experiment.name.as_str());
    let state = state::job(job.state());
    let state = if job.reason.is_empty() { state.to_owned() } else { format!("{state}: {}", job.reason) };
    let results =
        job.results.iter().map(|scalar| format!("{} {}", scalar.name, units::figure(&scalar.name, scalar.value)));
    pairs(&[
        ("job", job.name.clone()),
        ("id", job.id.clone()),
        ("experiment", name.to_owned()),
        ("stage", job.stage.clone()),
        ("state", state),
        ("progress", job::progress(job)),
        ("owner", job.owner.clone()),
        ("workers", job::gang(job.workers_min, job.workers_max)),
        ("shards", job.shards.to_string()),
        ("priority", if job.priority == 0 { String::new() } else { job.priority.to_string() }),
        ("max time", job.max_time.as_ref().map(max_time).unwrap_or_default()),
        ("submitted", moment(&job.created_at)),
        ("started", moment(&job.started_at)),
        ("finished", moment(&job.finished_at)),
        ("took", job::seconds(job, now).map(units::duration).unwrap_or_default()),
        ("starts from", inputs.join(", ")),
        ("results", results.collect::<Vec<_>>().join(", ")),
        ("tags", job.tags.join(", ")),
        ("note", job.note.as_ref().map(note).unwrap_or_default()),
        ("content key", job.content_key.clone()),
    ])
}

/// `for the camera-ready (ann, 2026-11-30 12:00)`.
fn note(note: &Note) -> String {
    let at = utc(&note.at).map(units::moment).unwrap_or_default();
    format!("{} ({}, {at})", note.text, note.who)
}

/// `2h by the policy; it has trained for 1h6m`.
fn max_time(time: &MaxTime) -> String {
    let whose = if time.by_policy { "by the policy" } else { "by who submitted it" };
    let trained = if time.trained_seconds > 0.0 {
        format!("; it has trained for {}", units::duration(time.trained_seconds))
    } else {
        String::new()
    };
    format!("{} {whose}{trained}", units::duration(time.seconds))
}

fn of_experiment(experiment: &Experiment) -> String {
    pairs(&[
        ("experiment", experiment.name.clone()),
        ("id", experiment.id.clone()),
        ("owner", experiment.owner.clone()),
        ("submitted", utc(&experiment.created_at).map(units::moment).unwrap_or_default()),
        ("tags", experiment.tags.join(", ")),
        ("note", experiment.note.as_ref().map(note).unwrap_or_default()),
        ("archived", if experiment.archived { "yes: it is in no list" } else { "" }.to_owned()),
    ])
}

fn attempts(attempts: &[Attempt], style: Style, now: DateTime<Utc>) -> String {
    let mut rows =
        Rows::new(style, &["ATTEMPT", "STATE", "WORKERS", "FROM STEP", "ASSIGNED", "TOOK", "FENCE", "CAUSE"]);
    for attempt in attempts {
        let assigned = utc(&attempt.assigned_at);
        let took = assigned.map(|start| {
            let end = utc(&attempt.ended_at).unwrap_or(now);
            units::duration((end - start).num_milliseconds() as f64 / 1000.0)
        });
        rows.row([
            attempt.number.to_string().into(),
            state::attempt_cell(attempt.state()),
            attempt.workers.join(", ").into(),
            units::count(attempt.first_step).into(),
            assigned.map(units::moment).unwrap_or_default().into(),
            took.unwrap_or_default().into(),
            attempt.fence.to_string().into(),
            Text::new(attempt.cause.as_str(), Tone::Faint),
        ]);
    }
    rows.less_needed(&[("FENCE", 4), ("FROM STEP", 3), ("TOOK", 2), ("ASSIGNED", 1)]);
    rows.to_string()
}

fn checkpoints(checkpoints: &[Checkpoint], style: Style) -> String {
    let mut rows = Rows::new(style, &["STEP", "SIZE", "AT", "SHA-256"]);
    let (removed, kept): (Vec<&Checkpoint>, Vec<&Checkpoint>) = checkpoints.iter().partition(|one| one.removed);
    for checkpoint in &kept {
        rows.row([
            units::count(checkpoint.step).into(),
            units::bytes(checkpoint.bytes).into(),
            utc(&checkpoint.at).map(units::moment).unwrap_or_default().into(),
            checkpoint.sha256.as_str().into(),
        ]);
    }
    rows.right(0);
    rows.right(1);
    let mut text = if kept.is_empty() { String::new() } else { rows.to_string() };
    if !removed.is_empty() {
        let ones = if removed.len() == 1 { "one" } else { "ones" };
        text.push_str(&format!("{} older {ones}, removed\n", removed.len()));
    }
    text
}

/// Of several jobs with their names.
fn artifacts(shown: &ShowResponse, style: Style) -> String {
    let are_of_one = is_single_job(shown);
    let heads = ["JOB", "KIND", "NAME", "SIZE", "SHA-256"];
    let mut rows = Rows::new(style, &heads[usize::from(are_of_one)..]);
    for artifact in &shown.artifacts {
        let job = shown.jobs.iter().find(|job| job.id == artifact.job_id).map_or("", |job| job.name.as_str());
        let cells = [job, &artifact.kind, &artifact.name, &units::bytes(artifact.bytes), &artifact.sha256];
        rows.row(cells[usize::from(are_of_one)..].iter().map(|cell| Text::from(*cell)));
    }
    rows.right(if are_of_one { 2 } else { 3 });
    rows.to_string()
}

fn events(events: &[Event], style: Style) -> String {
    let mut rows = Rows::new(style, &["AT", "EVENT", "ATTEMPT", "WORKER", "MESSAGE"]);
    for event in events {
        rows.row([
            utc(&event.at).map(units::precise_moment).unwrap_or_default().into(),
            event.kind.as_str().into(),
            if event.attempt == 0 { String::new() } else { event.attempt.to_string() }.into(),
            event.worker.as_str().into(),
            event.message.as_str().into(),
        ]);
    }
    rows.less_needed(&[("ATTEMPT", 2), ("WORKER", 1)]);
    rows.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::job::tests::running;

    #[test]
    fn a_job_shows_attempts_and_events() {
        let shown = ShowResponse {
            jobs: vec![running()],
            attempts: vec![Attempt {
                number: 1,
                fence: 12,
                workers: vec!["cpu-0".to_owned(), "cpu-1".to_owned()],
                cause: "ended by signal 9 (SIGKILL)".to_owned(),
                ..Attempt::default()
            }],
            events: vec![Event {
                kind: "assigned".to_owned(),
                message: "attempt 1 assigned".to_owned(),
                ..Event::default()
            }],
            ..ShowResponse::default()
        };
        let text = page(&shown, &Beside::default(), Style::default(), DateTime::UNIX_EPOCH);
        assert!(text.starts_with("job          encoder\n"), "{text}");
        for part in
            ["state        running\n", "\nAttempts\n", "cpu-0, cpu-1", "SIGKILL", "\nEvents\n", "attempt 1 assigned"]
        {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert!(!text.contains("Artifacts"));
    }

    #[test]
    fn checkpoints_that_were_removed_are_counted_and_not_listed() {
        let one = |step, removed| Checkpoint { step, removed, ..Checkpoint::default() };
        let text = checkpoints(&[one(30, false), one(20, true), one(10, true)], Style::default());
        assert!(text.contains("30") && text.ends_with("2 older ones, removed\n"), "{text}");
        assert_eq!(text.lines().count(), 3, "{text}");
        assert_eq!(checkpoints(&[one(10, true)], Style::default()), "1 older one, removed\n");
    }

    #[test]
    fn labels_are_shown() {
        let note = Some(Note { text: "camera-ready".to_owned(), who: "ann".to_owned(), at: None });
        let tags = vec!["v1".to_owned(), "best".to_owned()];
        let job = Job { tags: tags.clone(), note: note.clone(), ..running() };
        let experiment = Experiment { tags, note, archived: true, ..Experiment::default() };
        for text in [of_job(&job, None, &[], DateTime::UNIX_EPOCH), of_experiment(&experiment)] {
            assert!(text.contains("v1, best") && text.contains("camera-ready (ann, "), "{text}");
        }
        assert!(of_experiment(&experiment).contains("it is in no list"));
    }

    #[test]
    fn an_experiment_lists_its_jobs() {
        let experiment = Experiment { name: "quickstart".to_owned(), ..Experiment::default() };
        let shown = ShowResponse { experiment: Some(experiment), jobs: vec![running()], ..ShowResponse::default() };
        let text = page(&shown, &Beside::default(), Style::default(), DateTime::UNIX_EPOCH);
        assert!(text.starts_with("experiment  quickstart\n"), "{text}");
        assert!(text.contains("epoch 3/10, 42 %"), "{text}");
    }
}
