//! The wall clock of one program, changed by libfaketime where it is installed. A file holds the clock's offset.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

/// Where distributions put the library for programs with threads.
const PATHS: [&str; 6] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib64/faketime/libfaketimeMT.so.1",
    "/usr/lib/faketime/libfaketimeMT.so.1",
    "/usr/local/lib/faketime/libfaketimeMT.so.1",
    "/usr/lib64/libfaketimeMT.so.1",
];

#[derive(Clone, Debug)]
pub(crate) struct Faketime {
    library: PathBuf,
}

impl Faketime {
    pub(crate) fn find() -> Option<Self> {
        PATHS.iter().map(PathBuf::from).find(|path| path.is_file()).map(|library| Self { library })
    }

    /// The environment in which a program's clock follows `file`.
    pub(crate) fn environment(&self, file: &Path) -> Vec<(String, OsString)> {
        let set = |key: &str, value: OsString| (key.to_owned(), value);
        vec![
            set("LD_PRELOAD", self.library.clone().into()),
            set("FAKETIME_TIMESTAMP_FILE", file.into()),
            // Seconds until a change of the file takes effect.
            set("FAKETIME_CACHE_DURATION", "1".into()),
            // Timeouts use the monotonic clock, which nobody can step.
            set("FAKETIME_DONT_FAKE_MONOTONIC", "1".into()),
            set("NO_FAKE_STAT", "1".into()),
            // A program that is killed would leave its shared memory behind.
            set("FAKETIME_DISABLE_SHM", "1".into()),
        ]
    }
}

/// Sets a clock's offset in seconds. The file may be read at any time, so it is written beside and renamed.
///
/// # Errors
/// When the file cannot be written.
pub(crate) fn set(file: &Path, seconds: i64) -> Result<()> {
    let beside = file.with_extension("new");
    fs::write(&beside, format!("{seconds:+}\n"))
        .and_then(|()| fs::rename(&beside, file))
        .with_context(|| format!("cannot write {}", file.display()))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    #[ignore = "needs libfaketime (Debian and Ubuntu: package libfaketime)"]
    fn a_program_sees_the_clock_that_it_is_given() {
        let faketime = Faketime::find().expect("libfaketime is not installed");
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("clock");
        set(&file, -7200).unwrap();
        let output = Command::new("date").arg("+%s").envs(faketime.environment(&file)).output().unwrap();
        let seen: i64 = String::from_utf8(output.stdout).unwrap().trim().parse().unwrap();
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs().cast_signed();
        assert!((now - 7200 - seen).abs() < 60, "{now} {seen}");
    }
}
