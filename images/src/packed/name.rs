//! Names of packed data sets in a store.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// Below the store.
pub const FOLDER: &str = "datasets";
const ENDING: &str = ".tar";
/// Hexadecimal digits of a SHA-256.
const DIGITS: usize = 64;

/// One that is there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stored {
    /// As in `folder:NAME`.
    pub name: String,
    /// Of the file.
    pub sha256: String,
    pub path: PathBuf,
}

pub fn file_name(name: &str, sha256: &str) -> String {
    format!("{name}.{sha256}{ENDING}")
}

/// All in `folder`, by name; none if there is no such folder.
pub fn all(folder: &Path) -> io::Result<Vec<Stored>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut all = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let parts = path.file_name().and_then(|name| name.to_str()).and_then(parse);
        let parts = parts.map(|(name, sha256)| (name.to_owned(), sha256.to_owned()));
        all.extend(parts.map(|(name, sha256)| Stored { name, sha256, path }));
    }
    all.sort();
    Ok(all)
}

/// The one of that name; `None` if there is none.
pub fn find(folder: &Path, name: &str) -> io::Result<Option<Stored>> {
    Ok(all(folder)?.into_iter().find(|stored| stored.name == name))
}

fn parse(file_name: &str) -> Option<(&str, &str)> {
    let (name, sha256) = file_name.strip_suffix(ENDING)?.rsplit_once('.')?;
    let is_digest = sha256.len() == DIGITS && sha256.bytes().all(|digit| digit.is_ascii_hexdigit());
    (is_digest && !name.is_empty() && !name.starts_with('.')).then_some((name, sha256))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_hold_dots_and_what_is_unfinished_is_none() {
        let digest = "ab".repeat(32);
        let written = file_name("cats.v2", &digest);
        assert_eq!(parse(&written), Some(("cats.v2", digest.as_str())));
        for other in [".cats.part", "cats.tar", &digest, &format!(".{digest}.tar"), &format!("cats.{digest}.tar.new")] {
            assert_eq!(parse(other), None, "{other}");
        }
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(all(&folder.path().join("absent")).unwrap(), []);
        fs::write(folder.path().join(&written), "").unwrap();
        fs::write(folder.path().join("notes"), "").unwrap();
        assert_eq!(find(folder.path(), "cats.v2").unwrap().unwrap().sha256, digest);
        assert_eq!(find(folder.path(), "cats").unwrap(), None);
    }
}
