//! The two pipes between a rank and its worker: commands come in on stdin, events go out on stdout, one JSON object a line.

use std::{
    fs::File,
    io::{self, BufRead, Write},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, Sender, channel},
    },
    thread,
};

use tandem_learn::{
    Failure,
    report::{Event, Report},
    task::Command,
};

/// What the worker has sent to the rank after its task.
pub(super) struct Inbox {
    rendezvous: Receiver<(String, u16)>,
    /// The newest step of this attempt whose checkpoint the coordinator has stored; 0 before the first.
    committed: Arc<AtomicU64>,
}

impl Inbox {
    /// Reads stdin in a thread of its own, from the line after the task and for as long as the process lives.
    pub(super) fn open() -> io::Result<Self> {
        let (send, rendezvous) = channel();
        let committed = Arc::new(AtomicU64::new(0));
        let inbox = Self { rendezvous, committed: Arc::clone(&committed) };
        let read = move || read_commands(io::BufReader::new(io::stdin()), &send, &committed);
        thread::Builder::new().name("inbox".to_owned()).spawn(read)?;
        Ok(inbox)
    }

    /// Waits for the command that says where rank 0 listens.
    pub(super) fn rendezvous(&self) -> Result<(String, u16), Failure> {
        let gone = |_| Failure::Machine("the worker closed its pipe before it said where the ranks meet".to_owned());
        self.rendezvous.recv().map_err(gone)
    }
}

/// Reads until the pipe ends. That is no error: if the worker is gone, this process is about to be killed.
fn read_commands(lines: impl BufRead, rendezvous: &Sender<(String, u16)>, committed: &AtomicU64) {
    for line in lines.lines().map_while(Result::ok) {
        match serde_json::from_str(&line) {
            // A second one has no receiver.
            Ok(Command::Rendezvous { host, port }) => drop(rendezvous.send((host, port))),
            Ok(Command::Committed { step }) => {
                committed.fetch_max(step, Ordering::Relaxed);
            }
            Err(error) => tracing::warn!(%error, line, "the worker sent a command that this rank does not know"),
        }
    }
}

/// The pipe to the worker: each event is one line, written whole, whichever thread it comes from.
#[derive(Clone)]
pub(super) struct EventPipe(Arc<Mutex<File>>);

impl EventPipe {
    pub(super) fn new(file: File) -> Self {
        Self(Arc::new(Mutex::new(file)))
    }

    pub(super) fn write(&self, event: &Event) {
        let mut line = serde_json::to_vec(event).unwrap_or_default();
        line.push(b'\n');
        // The pipe breaks only when the worker ends, and this process ends with it.
        let _ = self.0.lock().unwrap_or_else(PoisonError::into_inner).write_all(&line);
    }
}

/// The two pipes as the training sees them.
pub(super) struct Reporter {
    pipe: EventPipe,
    committed: Arc<AtomicU64>,
}

impl Reporter {
    pub(super) fn new(pipe: EventPipe, inbox: &Inbox) -> Self {
        Self { pipe, committed: Arc::clone(&inbox.committed) }
    }
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
    use std::io::{Read, Seek};

    use super::*;

    #[test]
    fn each_command_reaches_its_reader_until_the_pipe_ends() {
        let commands = [
            Command::Committed { step: 20 },
            Command::Rendezvous { host: "10.0.0.1".to_owned(), port: 4321 },
            Command::Committed { step: 40 },
            // Sent again after a reconnect.
            Command::Committed { step: 30 },
        ];
        let mut lines: Vec<String> = commands.iter().map(|command| serde_json::to_string(command).unwrap()).collect();
        lines.insert(1, r#"{"command": "from the future"}"#.to_owned());
        let (send, rendezvous) = channel();
        let inbox = Inbox { rendezvous, committed: Arc::new(AtomicU64::new(0)) };
        read_commands(lines.join("\n").as_bytes(), &send, &inbox.committed);
        drop(send);
        assert_eq!(inbox.committed.load(Ordering::Relaxed), 40);
        assert_eq!(inbox.rendezvous(), Ok(("10.0.0.1".to_owned(), 4321)));
        assert!(matches!(inbox.rendezvous(), Err(Failure::Machine(why)) if why.contains("where the ranks meet")));
    }

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
    fn the_committed_step_is_what_the_worker_sent_last() {
        let committed = Arc::new(AtomicU64::new(0));
        let events =
            Reporter { pipe: EventPipe::new(tempfile::tempfile().unwrap()), committed: Arc::clone(&committed) };
        assert_eq!(events.committed(), Some(0));
        committed.store(120, Ordering::Relaxed);
        assert_eq!(events.committed(), Some(120));
    }
}
