//! A peer: a Python process that answers JSON lines. Tensors go through files (see `exchange`).

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, bail};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::environment::folder;

pub(crate) struct Peer {
    script: String,
    process: Child,
    requests: Option<ChildStdin>,
    replies: BufReader<ChildStdout>,
}

impl Peer {
    /// Starts `peers/<script>.py` in the peers' Python.
    pub(crate) fn start(python: &Path, script: &str) -> Result<Self> {
        let mut process = Command::new(python)
            .arg(folder().join("peers").join(script).with_extension("py"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {} (parity/setup installs it)", python.display()))?;
        let requests = process.stdin.take();
        let replies = process.stdout.take().context("a piped stdout is there")?;
        Ok(Self { script: script.to_owned(), process, requests, replies: BufReader::new(replies) })
    }

    pub(crate) fn ask<T: DeserializeOwned>(&mut self, request: &impl Serialize) -> Result<T> {
        let script = &self.script;
        let mut line = serde_json::to_string(request)?;
        line.push('\n');
        let requests = self.requests.as_mut().context("stdin is open until the peer is dropped")?;
        requests.write_all(line.as_bytes()).with_context(|| format!("{script}.py does not read requests any more"))?;
        let mut reply = String::new();
        if self.replies.read_line(&mut reply)? == 0 {
            let status = self.process.wait()?;
            bail!("{script}.py ended without an answer ({status}); its messages are above");
        }
        serde_json::from_str(&reply).with_context(|| format!("{script}.py answered {reply:?}"))
    }
}

impl Drop for Peer {
    /// Closing its stdin ends the peer at once, since no request is under way.
    fn drop(&mut self) {
        self.requests = None;
        // Its status no longer matters.
        let _ = self.process.wait();
    }
}
