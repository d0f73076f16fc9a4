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

use tandem_learn::{Failure, task::Told};

/// Where a rank finds what it is told.
pub(super) struct Ears {
    meeting: Receiver<(String, u16)>,
    /// The newest step of this attempt whose checkpoint has its row; 0 before the first.
    pub(super) committed: Arc<AtomicU64>,
}

impl Ears {
    /// Listens on stdin, from the line after the task.
    pub(super) fn open() -> io::Result<Self> {
        let (send, meeting) = channel();
        let committed = Arc::new(AtomicU64::new(0));
        let ears = Self { meeting, committed: Arc::clone(&committed) };
        let listen = move || hear(io::BufReader::new(io::stdin()), &send, &committed);
        thread::Builder::new().name("told".to_owned()).spawn(listen)?;
        Ok(ears)
    }

    /// Waits for the line that says where rank 0 listens.
    pub(super) fn meeting(&self) -> Result<(String, u16), Failure> {
        let gone = |_| Failure::Machine("the worker did not say where the ranks meet, and says no more".to_owned());
        self.meeting.recv().map_err(gone)
    }
}

/// Until the pipe ends, which is no error: the worker has nothing more to say, or is gone, and then so is this process.
fn hear(lines: impl BufRead, meeting: &Sender<(String, u16)>, committed: &AtomicU64) {
    for line in lines.lines().map_while(Result::ok) {
        match serde_json::from_str(&line) {
            // Nobody waits for it a second time.
            Ok(Told::Meeting { host, port }) => drop(meeting.send((host, port))),
            Ok(Told::Committed { step }) => {
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
        let told = [
            Told::Committed { step: 20 },
            Told::Meeting { host: "10.0.0.1".to_owned(), port: 4321 },
            Told::Committed { step: 40 },
            // Said again after a reconnection.
            Told::Committed { step: 30 },
        ];
        let mut lines: Vec<String> = told.iter().map(|told| serde_json::to_string(told).unwrap()).collect();
        lines.insert(1, r#"{"told": "from the future"}"#.to_owned());
        let (send, meeting) = channel();
        let ears = Ears { meeting, committed: Arc::new(AtomicU64::new(0)) };
        hear(lines.join("\n").as_bytes(), &send, &ears.committed);
        drop(send);
        assert_eq!(ears.committed.load(Ordering::Relaxed), 40);
        assert_eq!(ears.meeting(), Ok(("10.0.0.1".to_owned(), 4321)));
        assert!(matches!(ears.meeting(), Err(Failure::Machine(why)) if why.contains("where the ranks meet")));
    }
}
