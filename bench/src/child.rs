//! A measured process: ours or the peer's, driven by one JSON request a line and answering each with one JSON line.
//!
//! Both sides of a comparison run through all its blocks, each in a process of its own, and time themselves.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tandem_learn::ALLOCATOR;

use crate::machine;
use crate::settings::source_folder;

/// Every request but the first: do so many units of work.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Block {
    pub(crate) count: u64,
}

/// The answer to a block.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Elapsed {
    pub(crate) seconds: f64,
    /// The result of the work where results are compared; else null.
    pub(crate) result: Value,
}

/// How long a child may take to end after its stdin has closed.
const END_LIMIT: Duration = Duration::from_secs(10);

pub(crate) struct Child {
    name: String,
    process: std::process::Child,
    requests: Option<std::process::ChildStdin>,
    replies: BufReader<std::process::ChildStdout>,
}

impl Child {
    /// This program, started again as the side called `side`.
    pub(crate) fn ours(side: &str, threads: u32) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["--side", side]).env(ALLOCATOR.0, ALLOCATOR.1);
        Self::start(format!("ours ({side})"), command, threads)
    }

    /// `peers/<script>.py` in the peers' Python, with the same settings of the allocator as our ranks.
    pub(crate) fn peer(python: &Path, script: &str, threads: u32) -> Result<Self> {
        let mut command = script_of(python, script);
        command.env(ALLOCATOR.0, ALLOCATOR.1);
        Self::start(format!("peer {script}.py"), command, threads)
    }

    /// As [`peer`](Self::peer), with the allocator's default settings.
    pub(crate) fn usual_peer(python: &Path, script: &str, threads: u32) -> Result<Self> {
        let mut command = script_of(python, script);
        command.env_remove(ALLOCATOR.0);
        Self::start(format!("peer {script}.py"), command, threads)
    }

    fn start(name: String, mut command: Command, threads: u32) -> Result<Self> {
        let mut process = command
            .env("OMP_NUM_THREADS", threads.to_string())
            .env("MKL_NUM_THREADS", threads.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {name}: {}", command.get_program().display()))?;
        let requests = process.stdin.take();
        let replies = process.stdout.take().context("a piped stdout is there")?;
        Ok(Self { name, process, requests, replies: BufReader::new(replies) })
    }

    pub(crate) fn send(&mut self, request: &impl Serialize) -> Result<()> {
        let mut line = serde_json::to_string(request)?;
        line.push('\n');
        let requests = self.requests.as_mut().context("stdin is open until the child is dropped")?;
        requests.write_all(line.as_bytes()).with_context(|| format!("{} does not read requests any more", self.name))
    }

    pub(crate) fn receive<T: DeserializeOwned>(&mut self) -> Result<T> {
        let mut line = String::new();
        if self.replies.read_line(&mut line)? == 0 {
            let status = self.process.wait()?;
            bail!("{} ended without an answer ({status}); its messages are above", self.name);
        }
        let reply: Value = serde_json::from_str(&line).with_context(|| format!("{} answered {line:?}", self.name))?;
        serde_json::from_value(reply).with_context(|| format!("{} answered {line:?}", self.name))
    }

    pub(crate) fn ask<T: DeserializeOwned>(&mut self, request: &impl Serialize) -> Result<T> {
        self.send(request)?;
        self.receive()
    }

    /// Peak resident memory so far.
    pub(crate) fn peak_bytes(&self) -> Result<f64> {
        machine::peak_bytes(self.process.id()).with_context(|| format!("measuring {}", self.name))
    }

    /// Does `count` units of work. Returns the seconds by the child's own clock.
    pub(crate) fn block(&mut self, count: u64) -> Result<f64> {
        Ok(self.ask::<Elapsed>(&Block { count })?.seconds)
    }

    /// As [`block`](Self::block), for one unit of work, with its result.
    pub(crate) fn unit<T: DeserializeOwned>(&mut self) -> Result<(f64, T)> {
        let Elapsed { seconds, result } = self.ask(&Block { count: 1 })?;
        let result = serde_json::from_value(result).with_context(|| format!("the result of {}", self.name))?;
        Ok((seconds, result))
    }
}

fn script_of(python: &Path, script: &str) -> Command {
    let mut command = Command::new(python);
    command.arg(source_folder().join("peers").join(script).with_extension("py"));
    command
}

impl Drop for Child {
    /// Closes stdin, so that the child ends by itself, with the processes that it has started. A kill would leave those.
    fn drop(&mut self) {
        self.requests = None;
        let deadline = Instant::now() + END_LIMIT;
        while matches!(self.process.try_wait(), Ok(None)) {
            if Instant::now() > deadline {
                // Nothing more can be done if this fails.
                let _ = self.process.kill();
                let _ = self.process.wait();
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}
