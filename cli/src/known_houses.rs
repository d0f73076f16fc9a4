//! Who may serve a socket: whoever did when it was first used, root, or oneself. A path below /tmp is anybody's to take.
//!
//! Root and oneself are remembered like others: where their coordinator has ended, the next to take the path must not pass
//! for them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use nix::unistd::{Uid, User, geteuid};
use tandem_connect::socket::MayServe;
use tandem_durable::Mode;

use crate::config;

/// In the folder of settings: a line for each path, with the account's number.
const FILE: &str = "known-houses.toml";

type Known = BTreeMap<String, u32>;

/// What to make of who serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// As it was before.
    Known,
    /// Nobody was known to serve there.
    New,
    /// Another than before, whom one has to trust anyway: root, or oneself.
    Back {
        before: u32,
    },
    Changed {
        before: u32,
    },
}

fn standing(uid: u32, is_trusted: bool, before: Option<u32>) -> Standing {
    match before {
        Some(before) if before == uid => Standing::Known,
        Some(before) if is_trusted => Standing::Back { before },
        Some(before) => Standing::Changed { before },
        None => Standing::New,
    }
}

/// Judges who serves one socket, and remembers who it was once a coordinator has answered there.
pub(crate) struct Doorkeeper {
    file: Option<PathBuf>,
    own: u32,
    /// Whether who serves would get a token, which a stranger must not.
    carries_token: bool,
    /// Who was let pass, and is not remembered yet.
    met: Mutex<Option<Met>>,
}

#[derive(Clone, Debug)]
struct Met {
    keys: BTreeSet<String>,
    uid: u32,
    /// For the person, where it is no matter of course.
    remark: Option<String>,
}

impl Doorkeeper {
    pub(crate) fn new(carries_token: bool) -> Arc<Self> {
        let file = config::dir().map(|dir| dir.join(FILE));
        Arc::new(Self { file, own: geteuid().as_raw(), carries_token, met: Mutex::new(None) })
    }

    /// To be asked at each connection.
    pub(crate) fn judge(self: &Arc<Self>) -> MayServe {
        let keeper = self.clone();
        Arc::new(move |path: &Path, uid| keeper.let_pass(path, uid))
    }

    fn let_pass(&self, path: &Path, uid: u32) -> Result<(), String> {
        // A file that is damaged is repaired by a person: it may be what keeps a stranger out.
        let known = self.file.as_deref().map(read).transpose()?.unwrap_or_default();
        let keys = keys(path);
        let mut met = self.met.lock().unwrap_or_else(PoisonError::into_inner);
        let is_trusted = uid == 0 || uid == self.own;
        // Who was met a moment ago, and has not answered yet, counts too.
        let before = |key: &String| {
            let unanswered = met.as_ref().filter(|met| met.keys.contains(key)).map(|met| met.uid);
            known.get(key).copied().or(unanswered)
        };
        let judged: Vec<(&String, Standing)> =
            keys.iter().map(|key| (key, standing(uid, is_trusted, before(key)))).collect();
        for (key, standing) in &judged {
            if let Standing::Changed { before } = standing {
                return Err(changed(key, *before, uid, self.file.as_deref()));
            }
        }
        if judged.iter().all(|(_, standing)| *standing == Standing::Known) {
            return Ok(());
        }
        let is_met = judged.iter().any(|(_, standing)| *standing == Standing::Known);
        if !is_trusted && !is_met && self.carries_token {
            return Err(format!(
                "the coordinator at {} is run by {}, whom you have not met; your token was not sent there. Call it once \
                 without a token (its kernel says who you are), if that account may run it",
                path.display(),
                account(uid)
            ));
        }
        let back = judged.iter().find_map(|(key, standing)| match standing {
            Standing::Back { before } => Some(format!(
                "the coordinator at {key} was run by {}, and is now run by {}",
                account(*before),
                account(uid)
            )),
            _ => None,
        });
        let new = || format!("the coordinator at {} is run by {}", path.display(), account(uid));
        let remark = back.or_else(|| (!is_trusted && !is_met).then(new));
        *met = Some(Met { keys, uid, remark });
        Ok(())
    }

    /// Something that speaks as a coordinator has answered. Returns what to tell the person, once.
    pub(crate) fn answered(&self) -> Option<String> {
        let Met { keys, uid, remark } = self.met.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        let kept = match &self.file {
            Some(file) => remember(file, keys, uid),
            None => Err("no folder for settings".to_owned()),
        };
        let rest = kept.map_or_else(|error| format!("; it cannot be remembered: {error}"), |()| String::new());
        remark.map(|remark| remark + &rest)
    }
}

/// The names of one place: as it was named, where its folder really is, and where it really is. All have to agree: a path
/// with `..` is no other place, and a link that somebody put in the way makes no new one.
fn keys(path: &Path) -> BTreeSet<String> {
    let named = std::path::absolute(path).ok();
    let real_folder = path.parent().and_then(|folder| folder.canonicalize().ok());
    let in_folder = real_folder.zip(path.file_name()).map(|(folder, name)| folder.join(name));
    let real = path.canonicalize().ok();
    let all = named.into_iter().chain(in_folder).chain(real);
    let has_no_dots = |path: &PathBuf| !path.components().any(|part| part == std::path::Component::ParentDir);
    let keys: BTreeSet<String> = all.filter(has_no_dots).map(|path| path.display().to_string()).collect();
    // It went away a moment ago: known by what it was called.
    if keys.is_empty() { BTreeSet::from([path.display().to_string()]) } else { keys }
}

fn changed(path: &str, before: u32, now: u32, file: Option<&Path>) -> String {
    let (before, now) = (account(before), account(now));
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

/// Reads it again: another command may have met somebody meanwhile.
fn remember(file: &Path, keys: BTreeSet<String>, uid: u32) -> Result<(), String> {
    let mut known = read(file)?;
    known.extend(keys.into_iter().map(|key| (key, uid)));
    keep(file, &known).map_err(|error| error.to_string())
}

fn keep(file: &Path, known: &Known) -> io::Result<()> {
    let folder = file.parent().map(PathBuf::from).unwrap_or_default();
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let text = toml::to_string(known).map_err(io::Error::other)?;
    tandem_durable::replace(file, text.as_bytes(), Mode::Private)
}

#[cfg(test)]
mod tests;
