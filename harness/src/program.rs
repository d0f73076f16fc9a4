use std::{
    env,
    ffi::OsString,
    fs::OpenOptions,
    io,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{LazyLock, mpsc},
    thread,
};

use anyhow::{Context as _, Result};

use crate::process::Process;

/// What to run. It can be started several times.
#[derive(Clone, Debug)]
pub struct Program {
    name: String,
    path: PathBuf,
    args: Vec<OsString>,
    env: Vec<(String, OsString)>,
    log: PathBuf,
}

impl Program {
    /// `name` is for people; stdout and stderr are appended to the file `log`.
    #[must_use]
    pub fn new(name: &str, path: &Path, log: &Path) -> Self {
        Self { name: name.to_owned(), path: path.to_owned(), args: Vec::new(), env: Vec::new(), log: log.to_owned() }
    }

    #[must_use]
    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    #[must_use]
    pub fn args<T: Into<OsString>>(mut self, args: impl IntoIterator<Item = T>) -> Self {
        self.args.extend(args.into_iter().map(T::into));
        self
    }

    #[must_use]
    pub fn env(mut self, key: &str, value: impl Into<OsString>) -> Self {
        self.env.push((key.to_owned(), value.into()));
        self
    }

    /// Started by another program, which gets its command line as last arguments and becomes it (`nice`, `unshare`).
    #[must_use]
    pub fn through(self, wrapper: &str, args: &[&str]) -> Self {
        let own = std::iter::once(self.path.into_os_string()).chain(self.args);
        let args = args.iter().map(OsString::from).chain(own).collect();
        Self { path: wrapper.into(), args, ..self }
    }

    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Starts it in a process group of its own. It is killed when this process ends, however that happens.
    pub fn start(&self) -> Result<Process> {
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.log)
            .with_context(|| format!("cannot write {}", self.log.display()))?;
        // setpriv and not pre_exec: no unsafe code. It becomes the program, so the process id is the program's. KILL and
        // not TERM, because the program may be stopped at that moment.
        let mut setpriv = command(Path::new("setpriv"));
        setpriv
            .args(["--pdeathsig=KILL", "--"])
            .arg(&self.path)
            .args(&self.args)
            .envs(self.env.iter().map(|(key, value)| (key, value)))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .process_group(0);
        let child = spawn(setpriv)
            .with_context(|| format!("cannot start {} through setpriv (package util-linux)", self.path.display()))?;
        Ok(Process::new(&self.name, child))
    }
}

/// A command without the caller's settings for Tandem: only `TANDEM_PG_BIN`, where Postgres is installed, is kept.
#[must_use]
pub fn command(path: &Path) -> Command {
    let mut command = Command::new(path);
    let is_setting = |key: &OsString| key.to_string_lossy().starts_with("TANDEM_") && key != "TANDEM_PG_BIN";
    env::vars_os().filter(|(key, _)| is_setting(key)).for_each(|(key, _)| {
        command.env_remove(key);
    });
    command
}

/// Spawns from a thread that lives as long as this process: the kernel kills a child when the thread that started it
/// ends, and a test's thread may end while the child is still needed.
fn spawn(command: Command) -> Result<Child> {
    type Request = (Command, mpsc::Sender<io::Result<Child>>);
    static PARENT: LazyLock<mpsc::Sender<Request>> = LazyLock::new(|| {
        let (requests, received) = mpsc::channel::<Request>();
        thread::spawn(move || {
            for (mut command, answer) in received {
                // The thread that asked waits for the answer.
                let _ = answer.send(command.spawn());
            }
        });
        requests
    });
    let (answer, child) = mpsc::channel();
    PARENT.send((command, answer)).context("the thread that starts programs has ended")?;
    Ok(child.recv().context("the thread that starts programs has ended")??)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use nix::sys::signal::Signal;

    use super::*;
    use crate::wait::until;

    #[test]
    fn a_program_outlives_the_thread_that_started_it_and_ends_when_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("log");
        let program = Program::new("sleeper", Path::new("/bin/sh"), &log).args(["-c", "echo $WORD; exec sleep 600"]);
        let program = program.env("WORD", "started");
        let process = thread::spawn(move || program.start().unwrap()).join().unwrap();
        until("its output is in the log", Duration::from_secs(30), || {
            (std::fs::read_to_string(&log).ok()? == "started\n").then_some(())
        });
        let handle = process.handle().unwrap();
        // Even one that is stopped ends.
        assert!(handle.signal(Signal::SIGSTOP));
        drop(process);
        assert!(!handle.is_running());
    }
}
