//! What the worker tells a rank after its task: lines on stdin, read by a thread for as long as the process lives.

use std::{
    io::{self, BufRead},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, Sender, channel},
    },
    thread,
};

use tandem_learn::{Failure, task::Command};

/// Where a rank finds what it is told.
pub(super) struct Inbox {
    rendezvous: Receiver<(String, u16)>,
    /// The newest step of this attempt whose checkpoint has its row; 0 before the first.
    pub(super) committed: Arc<AtomicU64>,
}

impl Inbox {
    /// Listens on stdin, from the line after the task.
    pub(super) fn open() -> io::Result<Self> {
        let (send, rendezvous) = channel();
        let committed = Arc::new(AtomicU64::new(0));
        let inbox = Self { rendezvous, committed: Arc::clone(&committed) };
        let read = move || read_commands(io::BufReader::new(io::stdin()), &send, &committed);
        thread::Builder::new().name("inbox".to_owned()).spawn(read)?;
        Ok(inbox)
    }

    /// Waits for the line that says where rank 0 listens.
    pub(super) fn rendezvous(&self) -> Result<(String, u16), Failure> {
        let gone = |_| Failure::Machine("the worker did not say where the ranks meet, and says no more".to_owned());
        self.rendezvous.recv().map_err(gone)
    }
}

/// Until the pipe ends, which is no error: the worker has nothing more to say, or is gone, and then so is this process.
fn read_commands(lines: impl BufRead, rendezvous: &Sender<(String, u16)>, committed: &AtomicU64) {
    for line in lines.lines().map_while(Result::ok) {
        match serde_json::from_str(&line) {
            // Nobody waits for it a second time.
            Ok(Command::Rendezvous { host, port }) => drop(rendezvous.send((host, port))),
            Ok(Command::Committed { step }) => {
                committed.fetch_max(step, Ordering::Relaxed);
            }
            Err(error) => tracing::warn!(%error, line, "the worker said something that this rank does not understand"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_go_to_whom_they_are_for_until_the_pipe_ends() {
        let commands = [
            Command::Committed { step: 20 },
            Command::Rendezvous { host: "10.0.0.1".to_owned(), port: 4321 },
            Command::Committed { step: 40 },
            // Said again after a reconnection.
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
}
