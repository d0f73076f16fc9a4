//! The pipe to the worker: each event is one line, written whole and at once, whichever thread it comes from.

use std::{
    fs::File,
    io::Write,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use tandem_learn::report::{Event, Report};

#[derive(Clone)]
pub(super) struct EventPipe(Arc<Mutex<File>>);

impl EventPipe {
    pub(super) fn new(file: File) -> Self {
        Self(Arc::new(Mutex::new(file)))
    }

    pub(super) fn write(&self, event: &Event) {
        let mut line = serde_json::to_vec(event).unwrap_or_default();
        line.push(b'\n');
        // The pipe breaks only with the worker, and with it this process ends.
        let _ = self.0.lock().unwrap_or_else(PoisonError::into_inner).write_all(&line);
    }
}

/// What the training tells, and what it is told.
pub(super) struct Reporter {
    pub(super) pipe: EventPipe,
    pub(super) committed: Arc<AtomicU64>,
}

impl Report for Reporter {
    fn event(&mut self, event: Event) {
        self.pipe.write(&event);
    }

    fn committed(&self) -> Option<u64> {
        Some(self.committed.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read, Seek},
        thread,
    };

    use super::*;

    #[test]
    fn lines_of_several_threads_are_whole() {
        let mut file = tempfile::tempfile().unwrap();
        let pipe = EventPipe::new(file.try_clone().unwrap());
        let message = "x".repeat(10_000);
        thread::scope(|scope| {
            for kind in ["a", "b", "c"] {
                let (pipe, message) = (pipe.clone(), message.clone());
                scope.spawn(move || {
                    (0..50).for_each(|_| pipe.write(&Event::Note { kind: kind.to_owned(), message: message.clone() }));
                });
            }
        });
        let mut text = String::new();
        file.rewind().unwrap();
        file.read_to_string(&mut text).unwrap();
        assert_eq!(text.lines().filter(|line| serde_json::from_str::<Event>(line).is_ok()).count(), 150);
        assert_eq!(text.lines().count(), 150);
    }

    #[test]
    fn what_is_committed_is_what_the_worker_said_last() {
        let committed = Arc::new(AtomicU64::new(0));
        let events =
            Reporter { pipe: EventPipe::new(tempfile::tempfile().unwrap()), committed: Arc::clone(&committed) };
        assert_eq!(events.committed(), Some(0));
        committed.store(120, Ordering::Relaxed);
        assert_eq!(events.committed(), Some(120));
    }
}
