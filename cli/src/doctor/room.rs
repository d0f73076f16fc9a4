//! Room on the disks that Tandem writes to, and whether it may write there.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use nix::sys::statvfs::statvfs;
use tandem_domain::{datasets::size, fit::STORE_ID_FILE};

use super::check::Check;

/// With less, a checkpoint may not fit, ...
const BAD: u64 = 2 << 30;
/// ... and with less than this it will not for long.
const WARN: u64 = 20 << 30;
/// Files that can still be made.
const FILES: u64 = 10_000;

/// A folder, by what it is for.
pub(crate) struct Folder {
    pub(crate) what: &'static str,
    pub(crate) path: PathBuf,
    /// Of checkpoints and artifacts: it has an id.
    pub(crate) is_store: bool,
}

/// What a disk has left: bytes, and files.
#[derive(Clone, Copy, Debug)]
struct Left {
    bytes: u64,
    files: Option<u64>,
}

pub(crate) fn look(folder: &Folder) -> Vec<Check> {
    // What was never made is looked at where it would be.
    let there = folder.path.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"));
    let path = folder.path.display();
    let left = match statvfs(there) {
        Ok(disk) => {
            let block = wide(disk.fragment_size());
            let files = wide(disk.files_available());
            // Some file systems count no files.
            Left {
                bytes: wide(disk.blocks_available()).saturating_mul(block),
                files: (disk.files() > 0).then_some(files),
            }
        }
        Err(error) => {
            return vec![Check::bad(
                folder.what,
                format!("cannot look at {path}: {error}"),
                "see whether its file system is mounted",
            )];
        }
    };
    if there != folder.path {
        return vec![judge(folder.what, &format!("{path} is not made yet; its disk"), left)];
    }
    let mut checks = vec![judge(folder.what, &format!("{path}"), left)];
    if let Err(error) = try_writing(there) {
        let advice = "the account that runs Tandem must own it; see also whether the file system is mounted read-only";
        checks.push(Check::bad(folder.what, format!("cannot write to {path}: {error}"), advice));
    } else if folder.is_store
        && let Err(error) = fs::read_to_string(there.join(STORE_ID_FILE))
    {
        let advice = "a coordinator makes it when it starts: one that runs elsewhere has another store under this path, and workers \
                      here would be unfit";
        checks.push(Check::warn(folder.what, format!("{path} holds no {STORE_ID_FILE}: {error}"), advice));
    }
    checks
}

/// Counts of a disk, which are shorter on some systems.
fn wide(count: impl Into<u64>) -> u64 {
    count.into()
}

fn judge(what: &str, path: &str, left: Left) -> Check {
    let found = format!("{path} has {} free", size(left.bytes));
    let advice = "make room, or say another folder; `tandem data list` shows data sets that may go";
    match left {
        Left { files: Some(files), .. } if files < FILES => {
            Check::bad(what, format!("{found}, and room for {files} files only"), "remove small files there")
        }
        Left { bytes, .. } if bytes < BAD => Check::bad(what, found, advice),
        Left { bytes, .. } if bytes < WARN => Check::warn(what, found, advice),
        _ => Check::ok(what, found),
    }
}

/// Writes a file, reads it back and removes it.
fn try_writing(folder: &Path) -> io::Result<()> {
    const TEXT: &[u8] = b"tandem doctor";
    let mut file = tempfile::Builder::new().prefix(".tandem-doctor").tempfile_in(folder)?;
    file.write_all(TEXT)?;
    file.as_file().sync_all()?;
    if fs::read(file.path())? == TEXT { Ok(()) } else { Err(io::Error::other("what was written is not read back")) }
}

#[cfg(test)]
mod tests {
    use super::{super::check::Grade, *};

    #[test]
    fn a_disk_is_full_before_it_is_full() {
        let grade = |gigabytes: u64, files| judge("store", "/s", Left { bytes: gigabytes << 30, files }).grade;
        assert_eq!((grade(500, None), grade(10, None), grade(1, None)), (Grade::Ok, Grade::Warn, Grade::Bad));
        assert_eq!(grade(500, Some(12)), Grade::Bad);
    }

    #[test]
    fn a_store_is_written_to_and_has_an_id() {
        let folder = tempfile::tempdir().unwrap();
        let at = |path: PathBuf| look(&Folder { what: "store", path, is_store: true });
        let without = at(folder.path().to_owned());
        assert!(
            without.last().is_some_and(|check| check.grade >= Grade::Warn && check.found.contains(".tandem-store"))
        );
        fs::write(folder.path().join(STORE_ID_FILE), "id").unwrap();
        assert_eq!(at(folder.path().to_owned()).len(), 1);
        assert!(at(folder.path().join("a/b"))[0].found.contains("not made yet"));
        let left: Vec<_> = fs::read_dir(folder.path()).unwrap().collect();
        assert_eq!(left.len(), 1, "nothing is left behind");
        // Where nobody writes, root neither.
        #[cfg(target_os = "linux")]
        let read_only = at("/proc/self".into());
        #[cfg(not(target_os = "linux"))]
        let read_only = at("/nonexistent/of/nobody".into());
        assert!(
            cfg!(not(target_os = "linux"))
                || read_only.iter().any(|check| check.grade == Grade::Bad && check.found.contains("cannot write")),
            "{read_only:?}"
        );
    }
}
