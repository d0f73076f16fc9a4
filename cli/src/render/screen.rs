//! What of many jobs is shown where there is room for few: those that run, and the rest as one line.

use tandem_proto::v1::{Job, JobState};

use super::{state, units};

/// What a live display shows.
#[derive(Debug, PartialEq)]
pub(crate) struct Screen<'a> {
    pub(crate) rows: Vec<&'a Job>,
    /// Of all jobs; empty where each has a row, and there is one job alone.
    pub(crate) summary: String,
}

/// Fits `jobs` on so many lines, the summary included. Where all have a row, they stay in their order.
pub(crate) fn screen(jobs: &[Job], lines: usize) -> Screen<'_> {
    if let [job] = jobs {
        return Screen { rows: vec![job], summary: String::new() };
    }
    let room = lines.saturating_sub(1).max(1);
    let mut rows: Vec<&Job> = jobs.iter().collect();
    if rows.len() > room {
        // Of the others, what starts next is nearest to what people wait for; what has ended is in the table that follows.
        rows.sort_by_key(|job| match job.state() {
            JobState::Running => 0,
            JobState::Failed => 1,
            JobState::Queued => 2,
            _ => 3,
        });
        let kept = rows.iter().take_while(|job| matches!(job.state(), JobState::Running | JobState::Failed)).count();
        rows.truncate(kept.clamp(1, room));
    }
    Screen { rows, summary: summary(jobs) }
}

/// `9 of 45 have ended (1 failed), 2 running, 22 queued, 12 blocked`.
fn summary(jobs: &[Job]) -> String {
    let count = |wanted: JobState| jobs.iter().filter(|job| job.state() == wanted).count();
    let ended = jobs.iter().filter(|job| state::has_ended(job.state())).count();
    let mut text = format!("{ended} of {} have ended", jobs.len());
    let bad: Vec<String> =
        [JobState::Failed, JobState::Cancelled].into_iter().filter_map(|state| of(count(state), state)).collect();
    if !bad.is_empty() {
        text.push_str(&format!(" ({})", bad.join(", ")));
    }
    let waiting = [JobState::Running, JobState::Queued, JobState::Blocked];
    for part in waiting.into_iter().filter_map(|state| of(count(state), state)) {
        text.push_str(&format!(", {part}"));
    }
    // As long as something waits for what runs, nobody knows.
    if count(JobState::Queued) + count(JobState::Blocked) == 0 {
        let left = jobs.iter().filter_map(|job| job.progress.as_ref()).map(|progress| progress.seconds_left);
        let longest = left.fold(0.0, f64::max);
        if longest > 0.0 {
            text.push_str(&format!(", about {} left", units::duration(longest)));
        }
    }
    text
}

fn of(count: usize, state: JobState) -> Option<String> {
    (count > 0).then(|| format!("{count} {}", state::job(state)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::job::tests::running;

    fn job(name: &str, state: JobState) -> Job {
        Job { name: name.to_owned(), state: state.into(), ..Job::default() }
    }

    fn names<'a>(screen: &Screen<'a>) -> Vec<&'a str> {
        screen.rows.iter().map(|job| job.name.as_str()).collect()
    }

    #[test]
    fn those_that_run_are_shown_first_and_the_rest_in_a_line() {
        let mut jobs: Vec<Job> = (0..40).map(|i| job(&format!("w{i}"), JobState::Queued)).collect();
        jobs.extend([
            job("done", JobState::Succeeded),
            job("broken", JobState::Failed),
            job("later", JobState::Blocked),
        ]);
        jobs.extend([job("a", JobState::Running), job("b", JobState::Running)]);
        let shown = screen(&jobs, 24);
        assert_eq!(names(&shown), ["a", "b", "broken"]);
        assert_eq!(shown.summary, "2 of 45 have ended (1 failed), 2 running, 40 queued, 1 blocked");
        assert_eq!(names(&screen(&jobs[..40], 24)), ["w0"], "what starts next, where nothing runs");
        assert_eq!(screen(&jobs, 0).rows.len(), 1);
        let many: Vec<Job> = (0..50).map(|i| job(&i.to_string(), JobState::Running)).collect();
        assert_eq!(screen(&many, 24).rows.len(), 23);
    }

    #[test]
    fn what_fits_stays_in_its_order_and_the_last_ones_say_how_long() {
        let jobs = [job("later", JobState::Succeeded), running()];
        let shown = screen(&jobs, 24);
        assert_eq!(shown.rows[0].name, "later");
        assert_eq!(shown.summary, "1 of 2 have ended, 1 running, about 1 min 35 s left");
        assert_eq!(screen(&jobs[..1], 24).summary, "");
    }
}
