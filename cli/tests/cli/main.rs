//! The real `tandem` against a coordinator in this process: real gRPC on a loopback port, scripted answers.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod access;
mod asked;
mod best;
mod cancel;
mod compare;
mod coordinator;
mod data;
mod doctor;
mod experiments;
mod failover;
mod fetch;
mod house;
mod import;
mod join;
mod json;
mod keeping;
mod limits;
mod metrics;
mod notify;
mod people;
mod pty;
mod receipt;
mod report;
mod results;
mod sharing;
mod submit;
mod top;
mod up;
mod views;
mod watch;

use std::process::{Output, Stdio};

use tokio::process::Command;

/// No folder of settings, and none that root could make.
const NO_FOLDER: &str = "/dev/null";

/// A run of the binary that sees nothing of this machine's own set-up.
fn tandem(server: &str, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tandem"));
    command.args(args).env("TANDEM_SERVER", server).env("XDG_CONFIG_HOME", NO_FOLDER);
    command.env("TANDEM_SOCKET", "/nonexistent");
    ["TANDEM_TOKEN", "TANDEM_TOKEN_FILE", "TANDEM_CONTEXT"].iter().for_each(|name| _ = command.env_remove(name));
    command.stdin(Stdio::null()).kill_on_drop(true);
    command
}

async fn run(server: &str, args: &[&str]) -> Run {
    Run(tandem(server, args).output().await.unwrap())
}

struct Run(Output);

impl Run {
    fn code(&self) -> Option<i32> {
        self.0.status.code()
    }
    fn stdout(&self) -> &str {
        std::str::from_utf8(&self.0.stdout).unwrap()
    }
    fn stderr(&self) -> &str {
        std::str::from_utf8(&self.0.stderr).unwrap()
    }
    fn json(&self) -> serde_json::Value {
        serde_json::from_str(self.stdout()).unwrap_or_else(|error| panic!("{error}: {}", self.stdout()))
    }
}
