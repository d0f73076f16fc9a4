//! A running job in one line, and which changes are worth a line of their own.

use tandem_proto::v1::{Job, JobState, Progress};

use super::{job, state, units};

/// What a log shows: not each step, but each state, reason, phase and epoch.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Milestone {
    state: i32,
    reason: String,
    phase: String,
    epoch: u32,
}

impl Milestone {
    pub(crate) fn of(job: &Job) -> Self {
        let progress = job.progress.as_ref().filter(|_| job.state() == JobState::Running);
        Self {
            state: job.state,
            reason: job.reason.clone(),
            phase: progress.map(|progress| progress.phase.clone()).unwrap_or_default(),
            epoch: progress.map_or(0, |progress| progress.epoch),
        }
    }
}

/// `running: training, epoch 3/10, loss 4.500, kNN 45.1 %, 1,234 images/s, 1 min 35 s left`.
pub(crate) fn line(job: &Job) -> String {
    let state = state::job(job.state());
    match (job.state(), &job.progress) {
        (JobState::Running, Some(progress)) => {
            let words = words(progress);
            if words.is_empty() { state.to_owned() } else { format!("{state}: {words}") }
        }
        (JobState::Succeeded, _) => {
            let figures: Vec<String> = job
                .results
                .iter()
                .filter(|scalar| ["loss", "knn_accuracy", "linear_accuracy", "seconds"].contains(&scalar.name.as_str()))
                .map(|scalar| format!("{} {}", label(&scalar.name), units::figure(&scalar.name, scalar.value)))
                .collect();
            if figures.is_empty() { state.to_owned() } else { format!("{state}: {}", figures.join(", ")) }
        }
        _ if job.reason.is_empty() => state.to_owned(),
        _ => format!("{state}: {}", job.reason),
    }
}

/// The same without the state: what stands beside a bar.
pub(crate) fn words(progress: &Progress) -> String {
    let mut words = Vec::new();
    if !progress.phase.is_empty() {
        words.push(progress.phase.clone());
    }
    if progress.epochs > 0 {
        words.push(format!("epoch {}/{}", progress.epoch, progress.epochs));
    }
    for name in ["loss", "knn_accuracy"] {
        if let Some(value) = job::value(&progress.metrics, name) {
            words.push(format!("{} {}", label(name), units::figure(name, value)));
        }
    }
    if progress.images_per_second > 0.0 {
        words.push(format!("{} images/s", units::count(progress.images_per_second.round() as u64)));
    }
    if progress.seconds_left > 0.0 {
        words.push(format!("{} left", units::duration(progress.seconds_left)));
    }
    words.join(", ")
}

/// A metric's name in a sentence.
pub(crate) fn label(name: &str) -> &str {
    match name {
        "knn_accuracy" => "kNN",
        "linear_accuracy" => "linear",
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
    }
}
