//! The coordinator, started and waited for until it says where it listens.

use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use super::process::{Process, Program};
use crate::exit::{Exit, Failure};

/// Time for the coordinator to get ready; the first start creates the schema.
const READY_WITHIN: Duration = Duration::from_secs(30);
const POLL_EVERY: Duration = Duration::from_millis(20);

/// What a coordinator says of itself when it is ready.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Announcement {
    pub(crate) address: String,
    pub(crate) socket: Option<PathBuf>,
    /// Of the certificate to pin; with TLS alone.
    pub(crate) fingerprint: Option<String>,
}

impl Announcement {
    /// `HOST:PORT`.
    pub(crate) fn listen(&self) -> &str {
        self.address.split_once("://").map_or(self.address.as_str(), |(_, listen)| listen).trim_end_matches('/')
    }
}

/// Starts the coordinator and waits until it announces itself in `path`.
pub(crate) async fn start(program: &Program, path: &Path) -> Result<(Process, Announcement)> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("cannot remove {}", path.display()));
        }
        _ => {}
    }
    let log = program.log_length();
    let mut process = program.start()?;
    let deadline = Instant::now() + READY_WITHIN;
    while Instant::now() < deadline {
        // It may be read while it is being written: then it does not parse yet.
        let announced = fs::read_to_string(path).ok().and_then(|text| serde_json::from_str::<Announcement>(&text).ok());
        if let Some(announcement) = announced {
            return Ok((process, announcement));
        }
        tokio::select! {
            status = process.ended() => {
                let status = status.context("cannot wait for the coordinator")?;
                let lines = program.last_log_lines(log);
                let reason = if lines.is_empty() { format!("it ended with {status}") } else { lines };
                return Err(Failure::error(Exit::of_child(status.code()), format!("cannot start the coordinator: {reason}")));
            }
            () = tokio::time::sleep(POLL_EVERY) => {}
        }
    }
    bail!("the coordinator was not ready after {} s; see {}", READY_WITHIN.as_secs(), program.log.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_read_with_and_without_tls() {
        let read = |text| serde_json::from_str::<Announcement>(text).unwrap();
        let plain = read(r#"{"address": "http://127.0.0.1:7077", "socket": "/tmp/t.sock"}"#);
        assert_eq!((plain.listen(), plain.fingerprint.as_deref()), ("127.0.0.1:7077", None));
        let tls = read(r#"{"address": "https://0.0.0.0:7077", "socket": null, "fingerprint": "ab", "term": 1}"#);
        assert_eq!((tls.listen(), tls.fingerprint.as_deref()), ("0.0.0.0:7077", Some("ab")));
    }
}
