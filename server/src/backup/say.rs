//! What is said while it goes on: to a person on stderr, or as events on stdout to the program that started this one.

use std::{
    io::Write,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use tandem_archive::Event;

/// A person reads a line now and then; a program draws.
const TO_PERSON: Duration = Duration::from_secs(5);
const TO_PROGRAM: Duration = Duration::from_millis(200);

pub(crate) struct Say {
    events: bool,
    last: Mutex<Option<Instant>>,
}

impl Say {
    pub(crate) fn new(events: bool) -> Self {
        Self { events, last: Mutex::new(None) }
    }

    /// How far it is, in bytes; `total` may be a guess.
    pub(crate) fn progress(&self, what: &str, done: u64, total: u64) {
        let every = if self.events { TO_PROGRAM } else { TO_PERSON };
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.is_some_and(|at| at.elapsed() < every) {
            return;
        }
        // A person is told nothing of what takes a moment.
        let is_first = last.replace(Instant::now()).is_none();
        drop(last);
        let total = total.max(done);
        if self.events {
            self.event(&Event::Progress { what: what.to_owned(), done, total });
        } else if !is_first {
            eprintln!("{what}: {} of {} MB", done / 1_000_000, total / 1_000_000);
        }
    }

    pub(crate) fn note(&self, text: &str) {
        if self.events { self.event(&Event::Note(text.to_owned())) } else { eprintln!("{text}") }
    }

    pub(crate) fn is_for_program(&self) -> bool {
        self.events
    }

    pub(crate) fn event(&self, event: &Event) {
        let mut line = serde_json::to_vec(event).unwrap_or_default();
        line.push(b'\n');
        // Nobody reads it any more: then somebody will end this program.
        let _ = std::io::stdout().lock().write_all(&line);
    }
}
