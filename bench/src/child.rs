//! A measured process: ours or the peer's, driven by one JSON request a line and answering each with one JSON line.
//!
//! Both sides of a comparison live through all its blocks, each in a process of its own, and time themselves.

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

/// Every request but the first: so many units of work.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Block {
    pub(crate) count: u64,
}

/// The answer to a block.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Elapsed {
    pub(crate) seconds: f64,
    /// What the work found, where that is compared; else null.
    pub(crate) result: Value,
}

/// How long a child may take to leave after its stdin has closed.
const LEAVE: Duration = Duration::from_secs(10);

pub(crate) struct Child {
    name: String,
    process: std::process::Child,
    requests: Option<std::process::ChildStdin>,
    replies: BufReader<std::process::ChildStdout>,
}

impl Child {
    /// This program again, as the side called `side`.
    pub(crate) fn ours(side: &str, threads: u32) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["--side", side]).env(ALLOCATOR.0, ALLOCATOR.1);
        Self::start(format!("ours ({side})"), command, threads)
    }

    /// `peers/<script>.py` in the peers' Python, at its best: with the allocator's settings that our ranks have.
    pub(crate) fn peer(python: &Path, script: &str, threads: u32) -> Result<Self> {
        let mut command = script_of(python, script);
        command.env(ALLOCATOR.0, ALLOCATOR.1);
        Self::start(format!("peer {script}.py"), command, threads)
    }

    /// As `peer`, as anybody starts it: the allocator as it comes.
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
        requests.write_all(line.as_bytes()).with_context(|| format!("{} does not listen any more", self.name))
    }

    pub(crate) fn receive<T: DeserializeOwned>(&mut self) -> Result<T> {
        let mut line = String::new();
        if self.replies.read_line(&mut line)? == 0 {
            let status = self.process.wait()?;
            bail!("{} ended without an answer ({status}); what it said is above", self.name);
        }
        let reply: Value = serde_json::from_str(&line).with_context(|| format!("{} answered {line:?}", self.name))?;
        serde_json::from_value(reply).with_context(|| format!("{} answered {line:?}", self.name))
    }

    pub(crate) fn ask<T: DeserializeOwned>(&mut self, request: &impl Serialize) -> Result<T> {
        self.send(request)?;
        self.receive()
    }

    /// The most memory that it has ever held.
    pub(crate) fn peak_bytes(&self) -> Result<f64> {
        machine::peak_bytes(self.process.id()).with_context(|| format!("measuring {}", self.name))
    }

    /// Does `count` units of work; seconds by the child's own clock.
    pub(crate) fn block(&mut self, count: u64) -> Result<f64> {
        Ok(self.ask::<Elapsed>(&Block { count })?.seconds)
    }

    /// As [`block`](Self::block), with what one unit of work found.
    pub(crate) fn finding<T: DeserializeOwned>(&mut self) -> Result<(f64, T)> {
        let Elapsed { seconds, result } = self.ask(&Block { count: 1 })?;
        let result = serde_json::from_value(result).with_context(|| format!("what {} found", self.name))?;
        Ok((seconds, result))
    }
}

fn script_of(python: &Path, script: &str) -> Command {
    let mut command = Command::new(python);
    command.arg(crate::folder().join("peers").join(script).with_extension("py"));
    command
}

impl Drop for Child {
    /// Closing stdin ends it in its own time, with whatever processes it has started; a kill would leave those behind.
    fn drop(&mut self) {
        self.requests = None;
        let deadline = Instant::now() + LEAVE;
        while matches!(self.process.try_wait(), Ok(None)) {
            if Instant::now() > deadline {
                // Nothing useful can be done if even this fails.
                let _ = self.process.kill();
                let _ = self.process.wait();
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}
