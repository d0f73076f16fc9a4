//! Files with secrets: read whole, and refused where others can read them, too.

use std::{
    fs::File,
    io::{self, Read},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

/// The key that signs receipts, in the folder of a coordinator's certificates or states.
pub(crate) const RECEIPT_KEY: &str = "receipt.key";

/// Longer than any key or password.
const LONGEST: u64 = 64 * 1024;
/// What of a file's mode lets others in.
const OTHERS: u32 = 0o077;
/// Where an engine mounts secrets, with mode 0444 and for one container alone.
const MOUNTED: &str = "/run/secrets";

/// Why a file with a secret is not used. Never says what it holds.
#[derive(Debug, thiserror::Error)]
pub enum PrivateFileError {
    #[error("cannot read {file}: {source}", file = .file.display())]
    Read { file: PathBuf, source: io::Error },
    #[error(
        "{file} holds a secret, and others can read it (its mode is {mode:04o}): `chmod 600 {file}` ends that; whoever may \
         have read it knows it still",
        file = .file.display()
    )]
    Open { file: PathBuf, mode: u32 },
    #[error("{file} is longer than {LONGEST} bytes: neither a key nor a password is", file = .file.display())]
    Long { file: PathBuf },
    #[error("{file} is empty; expected a password", file = .file.display())]
    Empty { file: PathBuf },
}

/// The text of a file that is its owner's alone.
///
/// # Errors
/// Where it cannot be read, or others can read it.
pub(crate) fn read(file: &Path) -> Result<String, PrivateFileError> {
    let (text, mode) = read_with_mode(file)?;
    if mode & OTHERS != 0 {
        return Err(PrivateFileError::Open { file: file.to_owned(), mode });
    }
    Ok(text)
}

/// A password: the text without the end of its line.
///
/// # Errors
/// As [`read`], but a file that an engine mounted may be open.
pub(crate) fn password(file: &Path) -> Result<String, PrivateFileError> {
    let (text, mode) = read_with_mode(file)?;
    if mode & OTHERS != 0 {
        if !file.starts_with(MOUNTED) {
            return Err(PrivateFileError::Open { file: file.to_owned(), mode });
        }
        tracing::warn!(file = %file.display(), "everybody in this container can read the password");
    }
    let password = text.strip_suffix('\n').unwrap_or(&text);
    let password = password.strip_suffix('\r').unwrap_or(password);
    if password.is_empty() {
        return Err(PrivateFileError::Empty { file: file.to_owned() });
    }
    Ok(password.to_owned())
}

/// Of the opened file, so that nobody exchanges it between the look and the reading.
fn read_with_mode(path: &Path) -> Result<(String, u32), PrivateFileError> {
    let failed = |source| PrivateFileError::Read { file: path.to_owned(), source };
    let file = File::open(path).map_err(failed)?;
    let mode = file.metadata().map_err(failed)?.permissions().mode() & 0o7777;
    let mut text = String::new();
    let length = file.take(LONGEST + 1).read_to_string(&mut text).map_err(failed)?;
    if length as u64 > LONGEST {
        return Err(PrivateFileError::Long { file: path.to_owned() });
    }
    Ok((text, mode))
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};

    use super::*;

    #[test]
    fn a_secret_that_others_can_read_is_refused_without_being_told() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("password");
        let with = |text: &str, mode| {
            fs::write(&file, text).unwrap();
            fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
        };
        with("hunter2\n", 0o600);
        assert_eq!((password(&file).unwrap(), read(&file).unwrap()), ("hunter2".to_owned(), "hunter2\n".to_owned()));
        with("two\nlines\r\n", 0o400);
        assert_eq!(password(&file).unwrap(), "two\nlines");
        for mode in [0o640, 0o604, 0o644] {
            with("hunter2\n", mode);
            for error in [password(&file).unwrap_err(), read(&file).unwrap_err()] {
                let words = error.to_string();
                assert!(words.contains(&format!("{mode:04o}")) && words.contains("chmod 600"), "{words}");
                assert!(!words.contains("hunter2"), "{words}");
            }
        }
        with("\n", 0o600);
        assert!(password(&file).unwrap_err().to_string().contains("is empty"));
        with(&"x".repeat(70_000), 0o600);
        assert!(password(&file).unwrap_err().to_string().contains("longer than"));
        assert!(password(&folder.path().join("absent")).unwrap_err().to_string().contains("cannot read"));
    }
}
