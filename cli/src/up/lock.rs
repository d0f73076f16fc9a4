//! One supervisor per home: a lock that the kernel releases however its holder ends.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{ErrorKind, Read, Seek, Write},
};

use anyhow::{Context, Result};

use crate::{
    exit::{Exit, Failure},
    home::Home,
};

/// Held while `tandem up` runs.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

impl Lock {
    pub(crate) fn take(home: &Home) -> Result<Self> {
        let path = home.lock();
        let file = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&path);
        let mut file = file.map_err(|error| {
            Failure::error(
                Exit::CannotCreate,
                format!("cannot write {}: {error}; choose another folder with --dir", path.display()),
            )
        })?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let who = read_pid(&mut file)?.map(|pid| format!(" (process {pid})")).unwrap_or_default();
                let dir = home.root().display();
                return Err(Failure::error(
                    Exit::Temporary,
                    format!(
                        "tandem runs in {dir} already{who}; `tandem down --dir {dir}` stops it, --dir names another folder"
                    ),
                ));
            }
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("cannot lock {}", path.display()));
            }
        }
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{}", std::process::id()))
            .with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Self { _file: file })
    }
}

/// Process id of the supervisor that runs in this home, if one does.
pub(crate) fn holder(home: &Home) -> Result<Option<u32>> {
    let path = home.lock();
    let mut file = match OpenOptions::new().read(true).open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    };
    // Shared, so that two callers at once do not take each other for a supervisor.
    match file.try_lock_shared() {
        Ok(()) => Ok(None),
        Err(TryLockError::WouldBlock) => read_pid(&mut file),
        Err(TryLockError::Error(error)) => Err(error).with_context(|| format!("cannot lock {}", path.display())),
    }
}

fn read_pid(file: &mut File) -> Result<Option<u32>> {
    let mut text = String::new();
    file.rewind()?;
    file.read_to_string(&mut text)?;
    Ok(text.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::classify;

    #[test]
    fn a_second_supervisor_is_refused_and_told_who_the_first_is() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(Some(dir.path().to_owned())).unwrap();
        assert_eq!(holder(&home).unwrap(), None);
        let lock = Lock::take(&home).unwrap();
        assert_eq!(holder(&home).unwrap(), Some(std::process::id()));
        let (exit, message) = classify(&Lock::take(&home).unwrap_err());
        assert_eq!(exit, Exit::Temporary);
        let message = message.unwrap();
        assert!(
            message.contains(&format!("process {}", std::process::id())) && message.contains("tandem down"),
            "{message}"
        );
        drop(lock);
        // A child that another test is just starting shares our files until it has become its program.
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
        while holder(&home).unwrap().is_some() {
            assert!(std::time::Instant::now() < deadline, "the lock is not given back");
            std::thread::yield_now();
        }
        Lock::take(&home).unwrap();
    }
}
