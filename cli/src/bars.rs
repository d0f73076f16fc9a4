//! Progress on stderr: live bars in a terminal, one line per change elsewhere.

use std::{collections::HashMap, io::Write};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use tandem_proto::v1::{Job, JobState};

use crate::{
    output::can_draw,
    printable,
    render::{
        progress::{self, Milestone},
        state,
    },
};

/// Follows a set of jobs on the screen.
pub(crate) enum ProgressDisplay {
    Bars { all: MultiProgress, bars: HashMap<String, ProgressBar> },
    Lines { seen: HashMap<String, Milestone> },
}

impl ProgressDisplay {
    pub(crate) fn new() -> Self {
        if can_draw() {
            Self::Bars { all: MultiProgress::new(), bars: HashMap::new() }
        } else {
            Self::Lines { seen: HashMap::new() }
        }
    }

    /// Shows the newest snapshot.
    pub(crate) fn update(&mut self, jobs: &[Job]) {
        let width = jobs.iter().map(|job| job.name.chars().count()).max().unwrap_or(0);
        match self {
            Self::Bars { all, bars } => {
                for job in jobs {
                    let bar = bars.entry(job.id.clone()).or_insert_with(|| all.add(bar(&job.name, width)));
                    draw(bar, job);
                }
            }
            Self::Lines { seen } => {
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
            Self::Bars { all, .. } => {
                let _ = all.println(text);
            }
            Self::Lines { .. } => {
                let _ = writeln!(std::io::stderr(), "{text}");
            }
        }
    }

    /// Removes the bars from the screen; the table that follows shows how the jobs ended.
    pub(crate) fn clear(&mut self) {
        if let Self::Bars { all, bars } = self {
            bars.clear();
            let _ = all.clear();
        }
    }
}

fn bar(name: &str, width: usize) -> ProgressBar {
    let bar = ProgressBar::new(1);
    bar.set_prefix(format!("{:width$}", printable::line(name)));
    bar
}

fn draw(bar: &ProgressBar, job: &Job) {
    let template = match job.state() {
        JobState::Running if job.progress.as_ref().is_some_and(|progress| progress.steps > 0) => {
            "{prefix}  {bar:24.cyan/dim} {percent:>3} %  {wide_msg}"
        }
        state if state::has_ended(state) => "{prefix}  {wide_msg}",
        _ => "{prefix}  {wide_msg:.dim}",
    };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("━━─"));
    }
    match (job.state(), &job.progress) {
        (JobState::Running, Some(progress)) if progress.steps > 0 => {
            bar.set_length(progress.steps);
            bar.set_position(progress.step);
            bar.set_message(printable::line(&progress::describe(&job.stage, progress)).into_owned());
        }
        _ => bar.set_message(printable::line(&progress::line(job)).into_owned()),
    }
    bar.tick();
}
