//! The database server's process: its start, and its end.

use std::{
    fs::OpenOptions,
    io::{Read, Seek, SeekFrom},
    net::{Ipv4Addr, TcpListener},
    os::unix::process::CommandExt,
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result, bail};
use nix::{
    sys::signal::{self, Signal},
    unistd::Pid,
};

use crate::{
    binaries::Binaries,
    data_folder::{DataFolder, read_if_there},
    lock_file::LockFile,
    options::Options,
    os_user::OsUser,
    predecessor,
};

/// Recovering a large database after a crash takes a while; so does the shutdown of a server that ran here before.
const READY_WITHIN: Duration = Duration::from_secs(60);
const FAST_SHUTDOWN_WITHIN: Duration = Duration::from_secs(30);
const POLL_INTERVAL: Duration = Duration::from_millis(20);
const PORT_ATTEMPTS: u32 = 5;

#[derive(Debug)]
pub(crate) struct Postmaster {
    child: Child,
    port: u16,
    /// Dropped, it ends the thread that started the child. The kernel signals the child when that thread ends, so the
    /// thread must live as long as this.
    _parent_thread: mpsc::Sender<()>,
}

impl Postmaster {
    pub(crate) fn start(folder: &DataFolder, binaries: &Binaries, user: &OsUser, options: Options) -> Result<Self> {
        predecessor::make_way(&folder.data())?;
        let mut preferred = folder.last_port()?;
        for _ in 0..PORT_ATTEMPTS {
            let port = free_port(preferred.take())?;
            let command = command(folder, binaries, user, options, port)?;
            if let Some(postmaster) = Self::try_port(folder, command, port)? {
                folder.save_port(port)?;
                return Ok(postmaster);
            }
        }
        bail!("postgres found each of {PORT_ATTEMPTS} free ports taken when it wanted to listen; try again")
    }

    /// `None` if another program took the port in the meantime.
    fn try_port(folder: &DataFolder, command: Command, port: u16) -> Result<Option<Self>> {
        let log_start = std::fs::metadata(folder.log()).map_or(0, |meta| meta.len());
        let started_at = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let (child, parent_thread) =
            spawn_from_thread(command).context("cannot run postgres through setpriv (package util-linux)")?;
        let mut postmaster = Self { child, port, _parent_thread: parent_thread };
        let deadline = Instant::now() + READY_WITHIN;
        while Instant::now() < deadline {
            if let Some(status) = postmaster.child.try_wait()? {
                let log = log_since(folder, log_start)?;
                if log.contains("could not bind") || log.contains("could not create any TCP/IP sockets") {
                    return Ok(None);
                }
                bail!("postgres ended at its start with {status}; {} says:\n{}", folder.log().display(), log.trim());
            }
            let lock = read_if_there(&folder.data().join("postmaster.pid"))?;
            if lock.is_some_and(|lock| LockFile::parse(&lock).is_ready(postmaster.pid(), started_at)) {
                return Ok(Some(postmaster));
            }
            thread::sleep(POLL_INTERVAL);
        }
        bail!("postgres was not ready after {} s; see {}", READY_WITHIN.as_secs(), folder.log().display())
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Fast shutdown; if that takes too long, immediate shutdown, after which the next start recovers the data.
    pub(crate) fn stop(&mut self) -> Result<()> {
        for signal in [Signal::SIGINT, Signal::SIGQUIT] {
            if !self.is_running() {
                return Ok(());
            }
            let pid = Pid::from_raw(self.child.id().cast_signed());
            signal::kill(pid, signal).with_context(|| format!("cannot send {signal} to postgres ({pid})"))?;
            let deadline = Instant::now() + FAST_SHUTDOWN_WITHIN;
            while self.is_running() && Instant::now() < deadline {
                thread::sleep(POLL_INTERVAL);
            }
        }
        if self.is_running() {
            bail!("postgres ({}) did not end within {} s", self.child.id(), 2 * FAST_SHUTDOWN_WITHIN.as_secs());
        }
        Ok(())
    }
}

impl Drop for Postmaster {
    fn drop(&mut self) {
        if let Err(error) = self.stop() {
            tracing::warn!(%error, "postgres was not stopped cleanly");
        }
    }
}

fn command(folder: &DataFolder, binaries: &Binaries, user: &OsUser, options: Options, port: u16) -> Result<Command> {
    let log = OpenOptions::new()
        .create(true)
        .append(true)
        .open(folder.log())
        .with_context(|| format!("cannot write {}", folder.log().display()))?;
    let mut command = user.command(&binaries.path("postgres"));
    command.arg("-D").arg(folder.data()).current_dir(folder.dir());
    let mut set = |setting: &str| {
        command.args(["-c", setting]);
    };
    set("listen_addresses=127.0.0.1");
    set(&format!("port={port}"));
    set("unix_socket_directories=");
    set("max_connections=100");
    set("shared_buffers=128MB");
    set("timezone=UTC");
    set("log_timezone=UTC");
    if !options.durable {
        set("fsync=off");
        set("synchronous_commit=off");
        set("full_page_writes=off");
    }
    // A process group of its own: the supervisor handles Ctrl-C in a terminal, and stops Postgres last.
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).process_group(0);
    Ok(command)
}

/// Spawns from a thread that lives until the sender is dropped or this process ends. The caller's thread may end
/// earlier: a test's thread does, while other tests still use the server.
fn spawn_from_thread(mut command: Command) -> Result<(Child, mpsc::Sender<()>)> {
    let (alive, until_dropped) = mpsc::channel::<()>();
    let (answer, child) = mpsc::channel();
    thread::Builder::new().name("postgres-parent".to_owned()).spawn(move || {
        if answer.send(command.spawn()).is_ok() {
            // Returns an error when the sender is dropped.
            let _ = until_dropped.recv();
        }
    })?;
    let child = child.recv().context("the thread that starts postgres ended")??;
    Ok((child, alive))
}

fn free_port(preferred: Option<u16>) -> Result<u16> {
    let listener = preferred
        .and_then(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok())
        .map_or_else(|| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)), Ok)
        .context("no free TCP port on 127.0.0.1")?;
    Ok(listener.local_addr()?.port())
}

fn log_since(folder: &DataFolder, start: u64) -> Result<String> {
    let mut file = std::fs::File::open(folder.log())?;
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
