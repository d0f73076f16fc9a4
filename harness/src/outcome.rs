use std::{
    io::Write as _,
    process::{Command, Stdio},
};

/// How a command ended, and what it printed.
#[derive(Debug)]
pub struct Outcome {
    /// -1 if a signal ended it.
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

/// Runs a command to its end, with `stdin` as its input. Panics when it cannot be started.
#[must_use]
pub fn run(command: &mut Command, stdin: &str) -> Outcome {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"));
    if let Some(mut pipe) = child.stdin.take() {
        // Fails if the command does not read its input, which is no fault.
        let _ = pipe.write_all(stdin.as_bytes());
    }
    let output = child.wait_with_output().expect("a started child can be waited for");
    Outcome {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}
