//! Where the coordinator's socket is: where everybody on the machine looks for it, or in the home.

use std::{
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use tandem_connect::address::SOCKET_PATH_MAX;

use crate::{home::Home, target::answers};

const OF_ROOT: &str = "/run/tandem/tandem.sock";
/// Of anybody else: the one folder in which every account may make it and find it.
const OF_OTHERS: &str = "/tmp/tandem.sock";

/// The path, and a remark where it is not the one that others look at. `home_was_chosen`: then nothing is made outside of it.
///
/// # Errors
/// Where a path is too long for a socket.
pub(crate) async fn choose(
    given: Option<PathBuf>,
    home: &Home,
    home_was_chosen: bool,
) -> Result<(PathBuf, Option<String>), String> {
    let own = nix::unistd::geteuid();
    let well_known = Path::new(if own.is_root() { OF_ROOT } else { OF_OTHERS });
    let (path, note) = match given {
        Some(path) => (path, None),
        None if home_was_chosen => (home.socket(), None),
        None if is_taken(well_known, own.as_raw()).await => (home.socket(), Some(taken(well_known, &home.socket()))),
        None => (well_known.to_owned(), None),
    };
    check(&path)?;
    Ok((path, note))
}

/// Somebody serves there, or has left a socket that only its owner may remove.
async fn is_taken(path: &Path, own: u32) -> bool {
    answers(path).await || path.symlink_metadata().is_ok_and(|meta| own != 0 && meta.uid() != own)
}

fn taken(well_known: &Path, instead: &Path) -> String {
    format!(
        "{} is somebody else's: this coordinator's socket is {}. Your own commands find it; for other accounts, --socket names \
         a path that they can reach",
        well_known.display(),
        instead.display()
    )
}

fn check(path: &Path) -> Result<(), String> {
    let length = path.as_os_str().len();
    if length <= SOCKET_PATH_MAX {
        return Ok(());
    }
    Err(format!(
        "the path of a socket has at most {SOCKET_PATH_MAX} bytes, and {} has {length}: name a shorter one with --socket, or a \
         shorter folder with --dir",
        path.display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_home_that_was_chosen_keeps_its_socket() {
        let home = Home::at(Some("/srv/t".into())).unwrap();
        assert_eq!(choose(None, &home, true).await, Ok(("/srv/t/tandem.sock".into(), None)));
        let given = Some(PathBuf::from("/run/other.sock"));
        assert_eq!(choose(given, &home, true).await, Ok(("/run/other.sock".into(), None)));
        let deep = Home::at(Some(format!("/{}", "x".repeat(100)).into())).unwrap();
        let error = choose(None, &deep, true).await.unwrap_err();
        assert!(error.contains("at most 107 bytes") && error.contains("--socket"), "{error}");
    }

    #[tokio::test]
    async fn a_place_that_is_taken_is_left_to_who_has_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.sock");
        let own = nix::unistd::geteuid().as_raw();
        assert!(!is_taken(&path, own).await);
        let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        assert!(is_taken(&path, own).await);
        drop(listener);
        assert!(!is_taken(&path, own).await, "a coordinator of ours that was killed left it");
        assert!(is_taken(&path, own + 1).await, "its owner alone may remove it");
        assert!(taken(&path, Path::new("/h/tandem.sock")).contains("/h/tandem.sock. Your own"));
    }
}
