//! What lies already where a file is to go.

use std::{
    fs::{self, File},
    io::{ErrorKind, Read},
    path::Path,
};

use anyhow::Result;

use super::wanted::Wanted;
use crate::{
    download::{Arrived, Expected},
    exit::{Exit, Failure},
    files,
    gauge::{Gauge, Unit},
};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Present {
    Nothing,
    /// The very file.
    Same,
    /// Something else: what it is, completing "it ...".
    Other(String),
}

/// Looks at each place. With `force`, whatever is there and differs may be replaced.
///
/// # Errors
/// Where something else lies and may not be replaced; then nothing has been fetched.
pub(super) fn all(wanted: &[Wanted], force: bool) -> Result<Vec<Present>> {
    let mut all = Vec::with_capacity(wanted.len());
    for file in wanted {
        files::remove_leftovers(&file.path);
        let present = look(&file.path, &file.expected)?;
        match &present {
            Present::Other(what) if !force => {
                let message = format!("{} is there already: it {what}; --force replaces it", file.path.display());
                return Err(Failure::error(Exit::CannotCreate, message));
            }
            _ => all.push(present),
        }
    }
    Ok(all)
}

fn look(path: &Path, expected: &Expected) -> Result<Present> {
    let meta = match fs::metadata(path) {
        Ok(meta) => meta,
        // A link that leads nowhere is in the way, too.
        Err(error) if error.kind() == ErrorKind::NotFound && path.symlink_metadata().is_err() => {
            return Ok(Present::Nothing);
        }
        Err(error) => return Ok(Present::Other(format!("cannot be read ({error})"))),
    };
    if !meta.is_file() {
        return Ok(Present::Other("is no file".to_owned()));
    }
    if meta.len() != expected.bytes {
        return Ok(Present::Other(format!("has {} bytes, the job's file {}", meta.len(), expected.bytes)));
    }
    let sha256 = sha256(path, expected).map_err(|error| files::cannot("read", path, &error))?;
    if sha256.eq_ignore_ascii_case(&expected.sha256) {
        return Ok(Present::Same);
    }
    Ok(Present::Other(format!("has the SHA-256 {sha256}, the job's file {}", expected.sha256)))
}

fn sha256(path: &Path, expected: &Expected) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    let gauge = Gauge::new(&format!("comparing {}", expected.name), Unit::Bytes, expected.bytes);
    let (mut arrived, mut buffer) = (Arrived::default(), vec![0; 1 << 20]);
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(arrived.sha256()),
            read => {
                arrived.add(&buffer[..read]);
                gauge.add(read as u64);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tandem_proto::v1::Artifact;

    use super::*;

    #[test]
    fn what_is_there_is_compared_by_its_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        let mut own = Arrived::default();
        own.add(b"weights");
        let artifact = Artifact { bytes: 7, sha256: own.sha256(), ..Artifact::default() };
        let look = || look(&path, &Expected::of(&artifact)).unwrap();
        assert_eq!(look(), Present::Nothing);
        fs::write(&path, "weights").unwrap();
        assert_eq!(look(), Present::Same);
        fs::write(&path, "weightz").unwrap();
        assert!(matches!(look(), Present::Other(what) if what.contains(&artifact.sha256)));
        fs::write(&path, "w").unwrap();
        assert_eq!(look(), Present::Other("has 1 bytes, the job's file 7".to_owned()));
        fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("nowhere", &path).unwrap();
        assert!(matches!(look(), Present::Other(_)), "a link that leads nowhere");
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert_eq!(look(), Present::Other("is no file".to_owned()));
    }
}
