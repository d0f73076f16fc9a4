//! Progress on stderr: live bars in a terminal, one line per change elsewhere.

use std::{collections::HashMap, io::Write};

use console::Term;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use tandem_proto::v1::{Job, JobState};

use crate::{
    output::can_draw,
    printable,
    render::{
        progress::{self, Milestone},
        screen::screen,
        sparks::Seen,
        state,
    },
};

/// A terminal that does not say how large it is, is taken to be so.
const USUAL: Size = Size { lines: 24, columns: 80 };
/// A narrower one has no room for bars beside the words.
const WIDE: usize = 110;
/// Letters of a loss's course beside a bar.
const SPARK: usize = 16;

/// Follows a set of jobs on the screen.
pub(crate) enum ProgressDisplay {
    Bars(Bars),
    Lines { seen: HashMap<String, Milestone> },
}

/// A line for each job that is shown, from above, and one for all.
pub(crate) struct Bars {
    all: MultiProgress,
    rows: Vec<ProgressBar>,
    summary: Option<ProgressBar>,
    seen: Seen,
    size: fn() -> Size,
}

#[derive(Clone, Copy, Debug)]
struct Size {
    lines: usize,
    columns: usize,
}

impl ProgressDisplay {
    pub(crate) fn new() -> Self {
        if can_draw() {
            Self::Bars(Bars::on(ProgressDrawTarget::stderr(), size))
        } else {
            Self::Lines { seen: HashMap::new() }
        }
    }

    /// Shows the newest snapshot.
    pub(crate) fn update(&mut self, jobs: &[Job]) {
        match self {
            Self::Bars(bars) => bars.update(jobs),
            Self::Lines { seen } => {
                let width = jobs.iter().map(|job| job.name.chars().count()).max().unwrap_or(0);
                for job in jobs {
                    let milestone = Milestone::of(job);
                    if seen.get(&job.id) != Some(&milestone) {
                        seen.insert(job.id.clone(), milestone);
                        let (name, line) = (printable::line(&job.name), progress::line(job));
                        let _ = writeln!(std::io::stderr(), "{name:width$}  {}", printable::line(&line));
                    }
                }
            }
        }
    }

    /// Prints a remark above the bars.
    pub(crate) fn note(&self, text: &str) {
        match self {
            Self::Bars(bars) => {
                let _ = bars.all.println(text);
            }
            Self::Lines { .. } => {
                let _ = writeln!(std::io::stderr(), "{text}");
            }
        }
    }

    /// Removes the bars from the screen; the table that follows shows how the jobs ended.
    pub(crate) fn clear(&mut self) {
        if let Self::Bars(bars) = self {
            bars.rows.clear();
            bars.summary = None;
            let _ = bars.all.clear();
        }
    }
}

fn size() -> Size {
    match Term::stderr().size_checked() {
        Some((lines, columns)) if lines > 1 && columns > 1 => Size { lines: lines.into(), columns: columns.into() },
        _ => USUAL,
    }
}

impl Bars {
    fn on(target: ProgressDrawTarget, size: fn() -> Size) -> Self {
        Self {
            all: MultiProgress::with_draw_target(target),
            rows: Vec::new(),
            summary: None,
            seen: Seen::default(),
            size,
        }
    }

    fn update(&mut self, jobs: &[Job]) {
        let Size { lines, columns } = (self.size)();
        // One line is left to what the terminal itself writes below.
        let shown = screen(jobs, lines.saturating_sub(1));
        while self.rows.len() > shown.rows.len() {
            self.rows.pop().iter().for_each(|row| self.all.remove(row));
        }
        while self.rows.len() < shown.rows.len() {
            // A bar draws itself as soon as it is told something, wherever it is: first it is given its place.
            self.rows.push(self.all.insert(self.rows.len(), ProgressBar::hidden()));
        }
        self.seen.note(&shown.rows);
        let longest = shown.rows.iter().map(|job| printable::line(&job.name).chars().count()).max().unwrap_or(0);
        let width = longest.min(columns / 3);
        for (row, job) in self.rows.iter().zip(&shown.rows) {
            let spark = if columns >= WIDE { self.seen.spark(job, SPARK) } else { String::new() };
            draw(row, job, width, columns >= WIDE, &spark);
        }
        match &self.summary {
            _ if shown.summary.is_empty() => {}
            Some(summary) => summary.set_message(shown.summary),
            None => {
                let summary = self.all.add(ProgressBar::hidden());
                summary.set_style(style("{wide_msg:.dim}"));
                summary.set_message(shown.summary);
                summary.tick();
                self.summary = Some(summary);
            }
        }
    }
}

fn draw(row: &ProgressBar, job: &Job, width: usize, is_wide: bool, spark: &str) {
    let progress = job.progress.as_ref().filter(|progress| job.state() == JobState::Running && progress.steps > 0);
    let template = match (progress, job.state()) {
        (Some(_), _) if is_wide => "{prefix}  {bar:24.cyan/dim} {percent:>3} %  {wide_msg}",
        (Some(_), _) => "{prefix}  {percent:>3.cyan} %  {wide_msg}",
        (None, state) if state::has_ended(state) => "{prefix}  {wide_msg}",
        (None, _) => "{prefix}  {wide_msg:.dim}",
    };
    row.set_style(style(template));
    row.set_prefix(format!("{:width$}", shortened(&printable::line(&job.name), width)));
    match progress {
        Some(progress) => {
            row.set_length(progress.steps);
            row.set_position(progress.step);
            let words =
                if is_wide { progress::describe(&job.stage, progress) } else { progress::brief(&job.stage, progress) };
            let gap = if spark.is_empty() { "" } else { "  " };
            row.set_message(format!("{spark}{gap}{}", printable::line(&words)));
        }
        None => row.set_message(printable::line(&progress::line(job)).into_owned()),
    }
    row.tick();
}

fn style(template: &str) -> ProgressStyle {
    // The templates are this file's own.
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("━━─")
}

/// A name of at most `width` characters: the end, which tells jobs of a sweep apart, stays.
fn shortened(name: &str, width: usize) -> String {
    let count = name.chars().count();
    if count <= width {
        return name.to_owned();
    }
    let end: String = name.chars().skip(count - width.saturating_sub(1)).collect();
    format!("…{end}")
}

#[cfg(test)]
mod tests {
    use indicatif::InMemoryTerm;

    use super::*;
    use crate::render::job::tests::running;

    fn bars(columns: u16) -> (Bars, InMemoryTerm) {
        let term = InMemoryTerm::new(24, columns);
        let size = match columns {
            80 => || Size { lines: 24, columns: 80 },
            _ => || Size { lines: 24, columns: 200 },
        };
        (Bars::on(ProgressDrawTarget::term_like(Box::new(term.clone())), size), term)
    }

    fn jobs(count: usize, state: JobState) -> Vec<Job> {
        let job = |i| Job { id: format!("{i}"), name: format!("job-{i}"), state: state.into(), ..Job::default() };
        (0..count).map(job).collect()
    }

    #[test]
    fn every_line_on_the_screen_is_of_now() {
        let (mut bars, term) = bars(80);
        let mut all = jobs(45, JobState::Queued);
        bars.update(&all);
        all[30] = Job { id: "30".to_owned(), name: "encoder".to_owned(), ..running() };
        for _ in 0..3 {
            bars.update(&all);
        }
        let lines: Vec<String> = term.contents().lines().map(str::to_owned).collect();
        assert_eq!(lines.len(), 2, "{lines:#?}");
        assert!(lines[0].starts_with("encoder") && lines[0].contains(" %  epoch 3/10, loss 4.500"), "{lines:#?}");
        assert!(lines[0].ends_with("1 min 35 s left"), "{lines:#?}");
        assert_eq!(lines[1], "0 of 45 have ended, 1 running, 44 queued");
        all.iter_mut().for_each(|job| job.state = JobState::Succeeded.into());
        bars.update(&all);
        assert!(term.contents().contains("45 of 45 have ended"), "{}", term.contents());
    }

    #[test]
    fn a_few_jobs_have_a_line_each_with_a_bar_where_there_is_room() {
        let (mut bars, term) = bars(200);
        let mut few = jobs(3, JobState::Queued);
        few[1] = Job { id: "1".to_owned(), name: "x".repeat(90), ..running() };
        bars.update(&few);
        let progress = few[1].progress.as_mut().unwrap();
        (progress.step, progress.metrics[0].value) = (50, 4.0);
        bars.update(&few);
        assert!(term.contents().contains("█▁  training"), "{}", term.contents());
        let contents = term.contents();
        let lines: Vec<&str> = contents.lines().collect();
        assert_eq!(lines.len(), 4, "{lines:#?}");
        assert!(lines[1].contains("━") && lines[1].contains("…xxx") && lines[1].contains("images/s"), "{lines:#?}");
        bars.update(&few[..1]);
        assert!(term.contents().lines().count() <= 2, "{}", term.contents());
    }
}
