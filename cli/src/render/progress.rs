//! A running job in one line, and which changes are worth a line of their own.

use tandem_proto::v1::{Job, JobState, Progress};

use super::{job, state, units};

/// A change that is worth a line: of state, reason, phase or epoch (of an attack, each tenth of its images). That the end of
/// what it waits for is expected a little later is none.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Milestone {
    state: i32,
    reason: String,
    phase: String,
    epoch: u32,
    /// Tenths of the way of an attack, which has no epochs.
    tenth: u64,
}

impl Milestone {
    pub(crate) fn of(job: &Job) -> Self {
        let progress = job.progress.as_ref().filter(|_| job.state() == JobState::Running);
        Self {
            state: job.state,
            reason: timeless(&job.reason),
            phase: progress.map(|progress| progress.phase.clone()).unwrap_or_default(),
            epoch: progress.map_or(0, |progress| progress.epoch),
            tenth: progress
                .filter(|_| job.stage == "attack")
                .and_then(|progress| (10 * progress.step).checked_div(progress.steps))
                .unwrap_or(0),
        }
    }
}

/// Without the times of day in it.
fn timeless(reason: &str) -> String {
    let is_time = |word: &str| {
        let is_digit = |letter: char| letter.is_ascii_digit();
        word.split_once(':').is_some_and(|(hours, minutes)| {
            hours.len() == 2 && minutes.len() == 2 && [hours, minutes].iter().all(|part| part.chars().all(is_digit))
        })
    };
    reason.split(' ').filter(|word| !is_time(word)).collect::<Vec<_>>().join(" ")
}

/// Figures shown of a job that has ended, and of one that runs.
const FINAL: [&str; 7] =
    ["loss", "knn_accuracy", "validation_accuracy", "test_accuracy", "clean_error", "median_distance", "seconds"];
const RUNNING: [&str; 4] = ["loss", "knn_accuracy", "validation_accuracy", "broken"];

/// `running: training, epoch 3/10, loss 4.500, kNN 45.1 %, 1,234 images/s, 1 min 35 s left`.
pub(crate) fn line(job: &Job) -> String {
    let state = state::job(job.state());
    match (job.state(), &job.progress) {
        (JobState::Running, Some(progress)) => {
            // Of a job that runs, there is a reason only if something holds up its verification.
            let parts = [describe(&job.stage, progress), job.reason.clone()];
            let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
            if parts.is_empty() { state.to_owned() } else { format!("{state}: {}", parts.join("; ")) }
        }
        (JobState::Succeeded, _) => {
            let mut figures: Vec<String> = job
                .results
                .iter()
                .filter(|scalar| FINAL.contains(&scalar.name.as_str()))
                .map(|scalar| format!("{} {}", label(&scalar.name), units::figure(&scalar.name, scalar.value)))
                .collect();
            if let Some(failed) = job::value(&job.results, "gate_failed").filter(|failed| *failed > 0.0) {
                figures.push(format!("{failed} of the attack's checks failed"));
            }
            if figures.is_empty() { state.to_owned() } else { format!("{state}: {}", figures.join(", ")) }
        }
        _ if job.reason.is_empty() => state.to_owned(),
        _ => format!("{state}: {}", job.reason),
    }
}

/// The same without the state: what stands beside a bar.
pub(crate) fn describe(stage: &str, progress: &Progress) -> String {
    let mut parts = Vec::new();
    if !progress.phase.is_empty() {
        parts.push(progress.phase.clone());
    }
    if progress.epochs > 0 && stage != "attack" {
        parts.push(format!("epoch {}/{}", progress.epoch, progress.epochs));
    }
    if stage == "attack" && progress.steps > 0 {
        parts.push(format!("{} of {} images", units::count(progress.step), units::count(progress.steps)));
    }
    for name in RUNNING {
        if let Some(value) = job::value(&progress.metrics, name) {
            parts.push(format!("{} {}", label(name), units::figure(name, value)));
        }
    }
    if progress.images_per_second > 0.0 {
        parts.push(format!("{} images/s", units::count(progress.images_per_second.round() as u64)));
    }
    if progress.seconds_left > 0.0 {
        parts.push(format!("{} left", units::duration(progress.seconds_left)));
    }
    parts.join(", ")
}

/// What matters most, where there is little room: how far, how well, how long still.
pub(crate) fn brief(stage: &str, progress: &Progress) -> String {
    let phase = if progress.phase == "training" { String::new() } else { progress.phase.clone() };
    let loss = progress.metrics.iter().find(|scalar| scalar.name == "loss").cloned();
    describe(
        stage,
        &Progress { phase, metrics: loss.into_iter().collect(), images_per_second: 0.0, ..progress.clone() },
    )
}

/// A metric's name in a sentence.
pub(crate) fn label(name: &str) -> &str {
    match name {
        "knn_accuracy" => "kNN",
        "validation_accuracy" => "validation",
        "test_accuracy" => "test",
        "clean_error" => "clean error",
        "median_distance" => "median distance",
        "seconds" => "in",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::job::tests::running;

    #[test]
    fn a_running_job_in_one_line() {
        assert_eq!(
            line(&running()),
            "running: training, epoch 3/10, loss 4.500, kNN 45.1 %, 1,235 images/s, 1 min 35 s left"
        );
    }

    #[test]
    fn a_job_that_is_not_verified_yet_says_why() {
        let mut job = running();
        let progress = job.progress.as_mut().unwrap();
        (progress.phase, progress.epoch, progress.metrics) = ("verifying".to_owned(), 10, Vec::new());
        (progress.images_per_second, progress.seconds_left) = (0.0, 0.0);
        assert_eq!(line(&job), "running: verifying, epoch 10/10");
        let before = Milestone::of(&job);
        job.reason = "coordinator a cannot read back yet what it made".to_owned();
        assert_eq!(line(&job), "running: verifying, epoch 10/10; coordinator a cannot read back yet what it made");
        assert_ne!(Milestone::of(&job), before);
    }

    #[test]
    fn an_attack_counts_images() {
        let mut attack = running();
        attack.stage = "attack".to_owned();
        let progress = attack.progress.as_mut().unwrap();
        (progress.phase, progress.epoch, progress.epochs) = ("attacking".to_owned(), 0, 1);
        (progress.step, progress.steps, progress.images_per_second) = (500, 1000, 7.4);
        progress.metrics = vec![tandem_proto::v1::Scalar { name: "broken".to_owned(), value: 0.632 }];
        assert_eq!(
            line(&attack),
            "running: attacking, 500 of 1,000 images, broken 63.2 %, 7 images/s, 1 min 35 s left"
        );
        let mut further = attack.clone();
        further.progress.as_mut().unwrap().step = 590;
        assert_eq!(Milestone::of(&attack), Milestone::of(&further));
        further.progress.as_mut().unwrap().step = 600;
        assert_ne!(Milestone::of(&attack), Milestone::of(&further), "a line for each tenth");
    }

    #[test]
    fn an_attack_whose_checks_failed_says_so_beside_its_figures() {
        let scalar = |name: &str, value| tandem_proto::v1::Scalar { name: name.to_owned(), value };
        let ended = |failed| Job {
            state: JobState::Succeeded.into(),
            results: vec![scalar("clean_error", 0.306), scalar("gate_failed", failed)],
            ..Job::default()
        };
        assert_eq!(line(&ended(2.0)), "succeeded: clean error 30.6 %, 2 of the attack's checks failed");
        assert_eq!(line(&ended(0.0)), "succeeded: clean error 30.6 %");
    }

    #[test]
    fn steps_are_no_milestones_but_epochs_and_reasons_are() {
        let job = running();
        let mut step = job.clone();
        step.progress.as_mut().unwrap().step += 1;
        assert_eq!(Milestone::of(&job), Milestone::of(&step));
        let mut epoch = job.clone();
        epoch.progress.as_mut().unwrap().epoch += 1;
        assert_ne!(Milestone::of(&job), Milestone::of(&epoch));
        let waiting = Job { state: JobState::Queued.into(), reason: "waits".to_owned(), ..job.clone() };
        assert_eq!(line(&waiting), "queued: waits");
        assert_ne!(
            Milestone::of(&waiting),
            Milestone::of(&Job { reason: "waits longer".to_owned(), ..waiting.clone() })
        );
        let until =
            |moment: &str| Job { reason: format!("cpu-0 busy until about {moment} UTC, 2 idle"), ..waiting.clone() };
        assert_eq!(Milestone::of(&until("18:45")), Milestone::of(&until("19:05")));
        assert_ne!(Milestone::of(&until("18:45")), Milestone::of(&until("Dec 2, 18:45")));
    }
}
