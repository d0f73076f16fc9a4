//! What a submit would run, or now runs.

use tandem_proto::v1::{Estimate, JobState, PlannedJob};

use super::{
    job,
    table::{Rows, Style, Text, Tone},
    units,
};

/// `tandem submit --dry-run`: the expanded jobs, their gangs, their cost.
pub(crate) fn dry_run(jobs: &[PlannedJob], style: Style) -> String {
    let mut rows = Rows::new(
        style,
        &["JOB", "STAGE", "FROM", "WORKERS", "SHARDS", "STEPS", "PARAMETERS", "MEMORY", "TIME", "NOTE"],
    );
    for planned in jobs {
        let estimate = planned.estimate.clone().unwrap_or_default();
        rows.row([
            planned.name.as_str().into(),
            planned.stage.as_str().into(),
            planned.inputs.join(", ").into(),
            job::gang(planned.workers_min, planned.workers_max).into(),
            planned.shards.to_string().into(),
            known(estimate.steps as f64, |_| units::count(estimate.steps)),
            known(estimate.parameters as f64, units::magnitude),
            known(estimate.memory_bytes as f64, |_| units::bytes(estimate.memory_bytes)),
            known(estimate.seconds, units::duration),
            note(planned, &estimate),
        ]);
    }
    (3..=8).for_each(|column| rows.right(column));
    rows.less_needed(&[("PARAMETERS", 6), ("SHARDS", 5), ("FROM", 4), ("STAGE", 3), ("WORKERS", 2), ("STEPS", 1)]);
    rows.to_string()
}

/// `tandem submit`: the jobs and where to find them.
pub(crate) fn submitted(jobs: &[PlannedJob], style: Style) -> String {
    let length = units::id_length(jobs.iter().map(|job| job.job_id.as_str()));
    let mut rows = Rows::new(style, &["ID", "JOB", "STAGE", "WORKERS", "SHARDS", "NOTE"]);
    for planned in jobs {
        rows.row([
            units::short_id(&planned.job_id, length).into(),
            planned.name.as_str().into(),
            planned.stage.as_str().into(),
            job::gang(planned.workers_min, planned.workers_max).into(),
            planned.shards.to_string().into(),
            note(planned, &Estimate::default()),
        ]);
    }
    rows.right(3);
    rows.right(4);
    rows.less_needed(&[("SHARDS", 3), ("WORKERS", 2), ("STAGE", 1)]);
    rows.to_string()
}

fn known(value: f64, show: impl Fn(f64) -> String) -> Text {
    if value > 0.0 { show(value).into() } else { Text::new("-", Tone::Faint) }
}

fn note(planned: &PlannedJob, estimate: &Estimate) -> Text {
    if !planned.refusal.is_empty() {
        Text::new(planned.refusal.as_str(), Tone::Bad)
    } else if planned.reused {
        Text::new(reuse(planned.reused_state()), Tone::Faint)
    } else {
        Text::new(estimate.basis.as_str(), Tone::Faint)
    }
}

/// What it means that a job is used in place of a new one.
fn reuse(state: JobState) -> &'static str {
    match state {
        JobState::Succeeded => "has run before: its result is used",
        JobState::Running => "runs already: this submission shares it",
        JobState::Queued | JobState::Blocked | JobState::Paused => "waits already: this submission shares it",
        JobState::Failed | JobState::Cancelled => "has ended meanwhile, without a result",
        JobState::Unspecified => "is there already: this submission shares it",
    }
}

/// How many jobs are not run anew; `None` if all are.
pub(crate) fn reused(jobs: &[PlannedJob]) -> Option<String> {
    let reused: Vec<&PlannedJob> = jobs.iter().filter(|job| job.reused).collect();
    let done = reused.iter().filter(|job| job.reused_state() == JobState::Succeeded).count();
    let said = match (done, reused.len() - done) {
        (0, 0) => return None,
        (done, 0) => format!("{done} have run before, and their results are used"),
        (0, shared) => format!("{shared} were there already and are shared"),
        (done, shared) => {
            format!("{done} have run before, and their results are used; {shared} were there already and are shared")
        }
    };
    Some(format!("of {} jobs {said}; --fresh runs all of them again", jobs.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_has_run_is_said_to_have_run() {
        let job = |state: JobState| PlannedJob { reused: true, reused_state: state.into(), ..PlannedJob::default() };
        for (state, said) in [
            (JobState::Succeeded, "has run before: its result is used"),
            (JobState::Queued, "waits already"),
            (JobState::Blocked, "waits already"),
            (JobState::Running, "runs already"),
        ] {
            let text = submitted(&[job(state)], Style::default());
            assert!(text.contains(said), "{text}");
            assert_eq!(text.contains("has run before"), state == JobState::Succeeded, "{text}");
        }
        assert_eq!(reused(&[PlannedJob::default()]), None);
        let said = reused(&[job(JobState::Succeeded), job(JobState::Queued), PlannedJob::default()]).unwrap();
        assert!(said.starts_with("of 3 jobs 1 have run before") && said.contains("1 were there already"), "{said}");
    }

    #[test]
    fn cost_and_refusal_are_shown() {
        let estimate = Estimate {
            steps: 1950,
            parameters: 11_500_000,
            memory_bytes: 3 << 30,
            basis: "12 earlier runs".to_owned(),
            ..Estimate::default()
        };
        let encoder = PlannedJob {
            name: "encoder".to_owned(),
            stage: "contrastive".to_owned(),
            workers_min: 1,
            workers_max: 4,
            shards: 4,
            estimate: Some(estimate),
            ..PlannedJob::default()
        };
        let attack = PlannedJob {
            name: "attack".to_owned(),
            refusal: "stage `attack` cannot run yet".to_owned(),
            ..PlannedJob::default()
        };
        let text = dry_run(&[encoder, attack], Style::default());
        let lines: Vec<&str> = text.lines().collect();
        for part in ["1..4", "1,950", "11.5 M", "3.0 GiB", "12 earlier runs"] {
            assert!(lines[1].contains(part), "{part} in {text}");
        }
        assert!(lines[2].ends_with("stage `attack` cannot run yet"), "{text}");
    }
}
