//! Who may serve a socket: root, oneself, or whoever did when it was first used. A path below /tmp is anybody's to take.

use std::{
    collections::BTreeMap,
    fs, io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use nix::unistd::{Uid, User, geteuid};
use tandem_connect::socket::MayServe;
use tandem_durable::Mode;

use crate::config;

/// In the folder of settings: a line for each path, with the account's number.
const FILE: &str = "known-houses.toml";

type Known = BTreeMap<String, u32>;

/// What to make of who serves.
#[derive(Debug, PartialEq, Eq)]
enum Standing {
    Trusted,
    /// Nobody was known to serve there.
    New,
    Changed {
        before: u32,
    },
}

fn standing(uid: u32, own: u32, before: Option<u32>) -> Standing {
    match before {
        _ if uid == 0 || uid == own => Standing::Trusted,
        Some(before) if before == uid => Standing::Trusted,
        Some(before) => Standing::Changed { before },
        None => Standing::New,
    }
}

/// Judges who serves a socket. `carries_token`: whether who serves would get a token, which a stranger must not.
pub(crate) fn judge(carries_token: bool) -> MayServe {
    let said = AtomicBool::new(false);
    Arc::new(move |path: &Path, uid| {
        let file = config::dir().map(|dir| dir.join(FILE));
        // A file that is damaged is repaired by a person: it may be what keeps a stranger out.
        let mut known = file.as_deref().map(read).transpose()?.unwrap_or_default();
        let key = path.display().to_string();
        match standing(uid, geteuid().as_raw(), known.get(&key).copied()) {
            Standing::Trusted => Ok(()),
            Standing::Changed { before } => Err(changed(path, before, uid, file.as_deref())),
            Standing::New if carries_token => Err(format!(
                "the coordinator at {key} is run by {}, whom you have not met; your token was not sent there. Call it once \
                 without a token (its kernel says who you are), if that account may run it",
                account(uid)
            )),
            Standing::New => {
                known.insert(key, uid);
                let kept =
                    file.ok_or_else(|| io::Error::other("no folder for settings")).and_then(|file| keep(&file, &known));
                let rest = kept.map_or_else(|error| format!("; it cannot be remembered: {error}"), |()| String::new());
                if !said.swap(true, Relaxed) {
                    eprintln!("the coordinator at {} is run by {}{rest}", path.display(), account(uid));
                }
                Ok(())
            }
        }
    })
}

fn changed(path: &Path, before: u32, now: u32, file: Option<&Path>) -> String {
    let (path, before, now) = (path.display(), account(before), account(now));
    let file = file.map(|file| file.display().to_string()).unwrap_or_default();
    format!(
        "the coordinator at {path} was run by {before}, and is now run by {now}: nothing was sent. If that is right, remove \
         the line of {path} from {file}; --server names another coordinator"
    )
}

/// `bob (uid 1001)`.
fn account(uid: u32) -> String {
    let user = User::from_uid(Uid::from_raw(uid)).ok().flatten();
    user.map_or_else(|| format!("uid {uid}"), |user| format!("{} (uid {uid})", user.name))
}

fn read(file: &Path) -> Result<Known, String> {
    let cannot = |why: String| format!("cannot use {}: {why}; repair or remove it", file.display());
    match fs::read_to_string(file) {
        Ok(text) => toml::from_str(&text).map_err(|error| cannot(error.message().to_owned())),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(Known::default())
        }
        Err(error) => Err(cannot(error.to_string())),
    }
}

fn keep(file: &Path, known: &Known) -> io::Result<()> {
    let folder = file.parent().map(PathBuf::from).unwrap_or_default();
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let text = toml::to_string(known).map_err(io::Error::other)?;
    tandem_durable::replace(file, text.as_bytes(), Mode::Private)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_oneself_and_who_it_was_before_may_serve() {
        assert_eq!(standing(0, 1000, Some(7)), Standing::Trusted);
        assert_eq!(standing(1000, 1000, None), Standing::Trusted);
        assert_eq!(standing(7, 1000, Some(7)), Standing::Trusted);
        assert_eq!(standing(7, 1000, None), Standing::New);
        assert_eq!(standing(8, 1000, Some(7)), Standing::Changed { before: 7 });
    }

    #[test]
    fn who_was_met_is_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("tandem").join(FILE);
        assert_eq!(read(&file), Ok(Known::new()));
        let known = Known::from([("/tmp/tandem.sock".to_owned(), 1001)]);
        keep(&file, &known).unwrap();
        assert_eq!(read(&file), Ok(known));
        fs::write(&file, "x").unwrap();
        assert!(read(&file).unwrap_err().contains("repair or remove it"));
    }

    #[test]
    fn a_change_names_both_and_the_cure() {
        let said = changed(Path::new("/tmp/t.sock"), 4_000_001, 4_000_002, Some(Path::new("/c/known-houses.toml")));
        for part in ["uid 4000001", "uid 4000002", "nothing was sent", "/c/known-houses.toml", "--server"] {
            assert!(said.contains(part), "{said}");
        }
    }
}
