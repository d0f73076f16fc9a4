//! The home: the folder in which `tandem up` keeps everything.

use std::{
    env,
    path::{Path, PathBuf},
};

use anyhow::Result;
use clap::builder::{OsStringValueParser, TypedValueParser};
use nix::unistd::geteuid;

use crate::exit::{Exit, Failure};

/// Paths below one home.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Home {
    root: PathBuf,
}

impl Home {
    /// `dir` if given, else the default of this user.
    pub(crate) fn at(dir: Option<PathBuf>) -> Result<Self> {
        let root = match dir.filter(|dir| !dir.as_os_str().is_empty()) {
            Some(dir) => std::path::absolute(&dir)?,
            None => {
                default_root(geteuid().is_root(), |name| env::var_os(name).map(PathBuf::from)).ok_or_else(|| {
                    Failure::error(
                        Exit::Config,
                        "found no folder to work in: neither --dir nor TANDEM_HOME nor HOME is set",
                    )
                })?
            }
        };
        Ok(Self { root })
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }
    pub(crate) fn postgres(&self) -> PathBuf {
        self.root.join("postgres")
    }
    /// Checkpoints and artifacts.
    pub(crate) fn store(&self) -> PathBuf {
        self.root.join("store")
    }
    pub(crate) fn worker(&self, name: &str) -> PathBuf {
        self.root.join("workers").join(name)
    }
    /// What a worker joins with: the coordinator's address, and a token.
    pub(crate) fn worker_join(&self, name: &str) -> PathBuf {
        self.root.join("workers").join(format!("{name}.join"))
    }
    /// The coordinator's certificates.
    pub(crate) fn tls(&self) -> PathBuf {
        self.root.join("tls")
    }
    /// What signs receipts.
    pub(crate) fn receipt_key(&self) -> PathBuf {
        self.root.join("receipt.key")
    }
    pub(crate) fn socket(&self) -> PathBuf {
        self.root.join("tandem.sock")
    }
    pub(crate) fn database_password(&self) -> PathBuf {
        self.root.join("database-password")
    }
    /// Data sets, unless they are kept elsewhere.
    pub(crate) fn data(&self) -> PathBuf {
        self.root.join("data")
    }
    pub(crate) fn logs(&self) -> PathBuf {
        self.root.join("logs")
    }
    /// What runs and where; present while `tandem up` is ready.
    pub(crate) fn state(&self) -> PathBuf {
        self.root.join("up.json")
    }
    /// Locked while `tandem up` runs; holds its process id.
    pub(crate) fn lock(&self) -> PathBuf {
        self.root.join("up.lock")
    }
    /// Where the coordinator says that it is ready.
    pub(crate) fn announcement(&self) -> PathBuf {
        self.root.join("server.json")
    }
}

/// The home of this user, if there is one, and whether `TANDEM_HOME` chose it.
pub(crate) fn from_environment() -> (Option<Home>, bool) {
    let chosen = env::var_os("TANDEM_HOME").is_some_and(|dir| !dir.is_empty());
    (Home::at(None).ok(), chosen)
}

/// For options that a variable may set: an empty one counts as unset, and is not refused.
pub(crate) fn path_or_nothing() -> impl TypedValueParser<Value = PathBuf> {
    OsStringValueParser::new().map(PathBuf::from)
}

fn default_root(root: bool, var: impl Fn(&str) -> Option<PathBuf>) -> Option<PathBuf> {
    let set = |name| var(name).filter(|path| !path.as_os_str().is_empty());
    if let Some(home) = set("TANDEM_HOME") {
        return Some(home);
    }
    if root {
        // Not below /root: Postgres then runs as another account, which may not enter it.
        return Some(PathBuf::from("/var/lib/tandem"));
    }
    let data = set("XDG_DATA_HOME").or_else(|| Some(set("HOME")?.join(".local/share")))?;
    Some(data.join("tandem"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root_of(root: bool, vars: &[(&str, &str)]) -> Option<PathBuf> {
        default_root(root, |name| vars.iter().find(|(key, _)| *key == name).map(|(_, value)| PathBuf::from(value)))
    }

    #[test]
    fn home_is_the_first_that_is_set() {
        let home = ("HOME", "/home/ann");
        assert_eq!(root_of(false, &[home]), Some("/home/ann/.local/share/tandem".into()));
        assert_eq!(root_of(false, &[home, ("XDG_DATA_HOME", "/data")]), Some("/data/tandem".into()));
        assert_eq!(root_of(true, &[home]), Some("/var/lib/tandem".into()));
        assert_eq!(root_of(true, &[home, ("TANDEM_HOME", "/srv/t")]), Some("/srv/t".into()));
        assert_eq!(root_of(false, &[("HOME", ""), ("TANDEM_HOME", "")]), None);
    }
}
