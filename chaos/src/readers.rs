//! Many people who read at once: each of them is a `tandem` that is started again as soon as it has its answer.

use anyhow::Result;
use tandem_harness::{Process, Program};

use crate::{cluster::Cluster, experiment::NAME};

/// More than a coordinator has connections for.
const READERS: usize = 48;

pub(crate) struct Readers(Vec<(Program, Process)>);

impl Readers {
    /// # Errors
    /// When a process cannot be started.
    pub(crate) fn start(cluster: &Cluster) -> Result<Self> {
        let questions: [&[&str]; 4] =
            [&["results"], &["list", "--limit", "10000"], &["logs", NAME], &["watch", NAME, "--json"]];
        let log = cluster.options.folder.join("logs").join("readers.log");
        let start = |index: usize| {
            let program = Program::new("a reader", &cluster.options.binaries.tandem, &log)
                .args(["--server", &cluster.url()])
                .args(questions[index % questions.len()].iter().copied());
            let process = program.start()?;
            Ok((program, process))
        };
        Ok(Self((0..READERS).map(start).collect::<Result<_>>()?))
    }

    /// Whoever has an answer asks again.
    ///
    /// # Errors
    /// When a process cannot be started.
    pub(crate) fn keep_up(&mut self) -> Result<()> {
        for (program, process) in &mut self.0 {
            if process.try_wait()?.is_some() {
                *process = program.start()?;
            }
        }
        Ok(())
    }
}

impl Drop for Readers {
    /// As Ctrl-C does, but to all of them before one is waited for.
    fn drop(&mut self) {
        self.0.iter().for_each(|(_, process)| process.terminate());
    }
}
