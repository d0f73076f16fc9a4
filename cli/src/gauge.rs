//! How far one long piece of work is, on stderr: a bar in a terminal, a line now and then elsewhere.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use console::Term;
use indicatif::{ProgressBar, ProgressStyle};

use crate::{output::can_draw, render::units};

/// Where there is no terminal, a line is written so often.
const SAY_EVERY: Duration = Duration::from_secs(5);
/// A narrower terminal has no room for a bar.
const WIDE: u16 = 80;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    Images,
    Bytes,
}

impl Unit {
    fn shown(self, count: u64) -> String {
        match self {
            Self::Images => units::count(count),
            Self::Bytes => units::bytes(count),
        }
    }
}

pub(crate) struct Gauge {
    label: String,
    unit: Unit,
    total: u64,
    done: AtomicU64,
    bar: Option<ProgressBar>,
    said: Mutex<Instant>,
}

impl Gauge {
    /// `label` names the work: "checking cats".
    pub(crate) fn new(label: &str, unit: Unit, total: u64) -> Self {
        let bar = can_draw().then(|| bar(label, unit, total));
        let said = Mutex::new(Instant::now());
        Self { label: label.to_owned(), unit, total, done: AtomicU64::new(0), bar, said }
    }

    pub(crate) fn add(&self, count: u64) {
        self.show(self.done.fetch_add(count, Relaxed) + count);
    }

    pub(crate) fn set(&self, done: u64) {
        self.done.store(done, Relaxed);
        self.show(done);
    }

    fn show(&self, done: u64) {
        if let Some(bar) = &self.bar {
            // First the words: what is drawn in between would belong to two moments.
            bar.set_message(format!("{} of {}", self.unit.shown(done), self.unit.shown(self.total)));
            bar.set_position(done);
            return;
        }
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.elapsed() >= SAY_EVERY {
            *said = Instant::now();
            eprintln!("{}: {} of {}", self.label, self.unit.shown(done), self.unit.shown(self.total));
        }
    }
}

/// The bar goes; what follows says how it ended.
impl Drop for Gauge {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn bar(label: &str, unit: Unit, total: u64) -> ProgressBar {
    let bar = ProgressBar::new(total.max(1));
    let is_wide = Term::stderr().size_checked().is_none_or(|(_, columns)| columns == 0 || columns >= WIDE);
    let template =
        if is_wide { "{prefix}  {bar:24.cyan/dim} {percent:>3} %  {wide_msg}" } else { "{percent:>3} %  {prefix}" };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("━━─"));
    }
    bar.set_prefix(label.to_owned());
    bar.set_message(format!("of {}", unit.shown(total)));
    bar
}
