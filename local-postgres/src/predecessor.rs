//! A server that ran on the same data before: it may still be there, and it may have left its lock file.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use nix::{errno::Errno, sys::signal::kill, unistd::Pid};

use crate::{data_folder::read_if_there, lock_file::LockFile};

const FAST_SHUTDOWN_WITHIN: Duration = Duration::from_secs(30);
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Waits for the end of a server that still runs on `data` (its supervisor was killed), and removes a lock file that
/// would keep the next one from starting.
///
/// A number in a lock file proves nothing: after a power cut it may be that of any other process. The kernel knows which
/// processes work in which folder.
pub(crate) fn make_way(data: &Path) -> Result<()> {
    let path = data.join("postmaster.pid");
    let deadline = Instant::now() + FAST_SHUTDOWN_WITHIN;
    loop {
        let named = read_if_there(&path)?.and_then(|text| LockFile::parse(&text).pid);
        let Some(pid) = working_in(data).or_else(|| named.filter(|pid| looks_like_ours(*pid, data))) else {
            return match named.filter(|pid| is_alive(*pid)) {
                // Postgres itself only asks whether the number is alive, and would refuse to start.
                Some(stranger) => {
                    tracing::warn!(stranger, path = %path.display(), "removing the lock file of a server that is gone");
                    fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))
                }
                None => Ok(()),
            };
        };
        if Instant::now() > deadline {
            bail!("a Postgres server (process {pid}) still runs on {}; stop it first", data.display());
        }
        thread::sleep(POLL_INTERVAL);
    }
}

/// A process of a database server that works in `data`, as all of them do; a person's shell may be there, too.
fn working_in(data: &Path) -> Option<u32> {
    let processes = fs::read_dir("/proc").ok()?;
    let mut pids = processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let ours = place(data)?;
    pids.find(|pid| {
        let is_postgres = || fs::read_to_string(of_process(*pid, "comm")).is_ok_and(|name| name.trim() == "postgres");
        place(&of_process(*pid, "cwd")) == Some(ours) && is_postgres()
    })
}

/// A folder by device and inode: it may have several paths.
fn place(path: &Path) -> Option<(u64, u64)> {
    let meta = fs::metadata(path).ok()?;
    Some((meta.dev(), meta.ino()))
}

/// Where the kernel does not tell where a process works, because it is another user's: the arguments that this crate
/// starts a server with.
fn looks_like_ours(pid: u32, data: &Path) -> bool {
    let Ok(arguments) = fs::read(of_process(pid, "cmdline")) else { return false };
    let hidden = fs::read_link(of_process(pid, "cwd")).is_err();
    let data = data.as_os_str().as_encoded_bytes();
    hidden && arguments.split(|byte| *byte == 0).any(|argument| argument == data)
}

fn of_process(pid: u32, file: &str) -> PathBuf {
    Path::new("/proc").join(pid.to_string()).join(file)
}

fn is_alive(pid: u32) -> bool {
    // Another user's process cannot be signalled, but is there.
    !matches!(kill(Pid::from_raw(pid.cast_signed()), None), Err(Errno::ESRCH))
}
