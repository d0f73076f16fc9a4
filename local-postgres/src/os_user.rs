//! The operating system's user that Postgres runs as. Postgres refuses to run as root, so root runs it as another user.

use std::{ffi::OsString, fs, os::unix::fs::MetadataExt, path::Path, process::Command};

use anyhow::{Context, Result, bail, ensure};
use nix::unistd::{Gid, Uid, User, geteuid};

use crate::bound::bound_command;

const PREFERRED: [&str; 2] = ["postgres", "nobody"];

/// Of who starts it. Postgres may run as another account, whose processes anybody of that account can look into.
const SECRETS: [&str; 4] = ["TANDEM_TOKEN", "TANDEM_TOKEN_FILE", "TANDEM_JOIN_FILE", "DATABASE_URL"];

#[derive(Debug)]
pub(crate) enum OsUser {
    /// The user of this process.
    Own,
    Other(User),
}

impl OsUser {
    /// This process's user; for root, the `owner` of the data in `dir` or, where there are none yet, `postgres` or
    /// `nobody`.
    ///
    /// # Errors
    /// When the data belong to somebody else, or that user may not enter a folder above `dir`.
    pub(crate) fn choose(owner: Option<Uid>, dir: &Path) -> Result<Self> {
        if !geteuid().is_root() {
            if let Some(owner) = owner {
                ensure!(
                    owner == geteuid(),
                    "the database in {} belongs to {}; run as that user, or as root, or choose another folder",
                    dir.display(),
                    name_of(owner)
                );
            }
            return Ok(Self::Own);
        }
        let user = match owner {
            Some(owner) if !owner.is_root() => User::from_uid(owner)?,
            _ => PREFERRED.iter().find_map(|name| User::from_name(name).ok().flatten()),
        };
        let user =
            user.context("postgres does not run as root, and this machine has neither a user `postgres` nor `nobody`")?;
        check_access(&user, dir)?;
        Ok(Self::Other(user))
    }

    /// `program` as this user. It gets SIGINT when the thread that starts it dies.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let user: Vec<OsString> = match self {
            Self::Own => Vec::new(),
            Self::Other(user) => {
                let ids = [format!("--reuid={}", user.uid), format!("--regid={}", user.gid)];
                ids.into_iter().chain(["--clear-groups".to_owned()]).map(OsString::from).collect()
            }
        };
        let mut command = bound_command("INT", &user, program.as_os_str());
        SECRETS.iter().for_each(|name| _ = command.env_remove(name));
        command
    }

    /// Makes this user the owner of one file or folder.
    pub(crate) fn give(&self, path: &Path) -> Result<()> {
        if let Self::Other(user) = self {
            std::os::unix::fs::chown(path, Some(user.uid.as_raw()), Some(user.gid.as_raw()))
                .with_context(|| format!("cannot make `{1}` the owner of {0}", path.display(), user.name))?;
        }
        Ok(())
    }
}

/// `user` must be able to enter every folder above `dir`; initdb's own message would not say which one it cannot enter.
fn check_access(user: &User, dir: &Path) -> Result<()> {
    for parent in dir.ancestors().skip(1) {
        let meta = fs::metadata(parent).with_context(|| format!("cannot look at {}", parent.display()))?;
        if !may_enter(meta.mode(), meta.uid(), meta.gid(), user.uid, user.gid) {
            bail!(
                "postgres does not run as root but as `{}`, who may not enter {} (mode {:03o}); choose a folder \
                 elsewhere, for example below /var/lib, or `chmod o+x` that one",
                user.name,
                parent.display(),
                meta.mode() & 0o777
            );
        }
    }
    Ok(())
}

/// The kernel's rule for entering a folder: the first class (owner, group, others) that fits decides.
fn may_enter(mode: u32, owner: u32, group: u32, uid: Uid, gid: Gid) -> bool {
    let bit = if owner == uid.as_raw() {
        0o100
    } else if group == gid.as_raw() {
        0o010
    } else {
        0o001
    };
    mode & bit != 0
}

fn name_of(uid: Uid) -> String {
    User::from_uid(uid).ok().flatten().map_or_else(|| format!("user id {uid}"), |user| format!("`{}`", user.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_not_told_a_token() {
        let command = OsUser::Own.command(Path::new("/bin/true"));
        for name in ["TANDEM_TOKEN", "TANDEM_TOKEN_FILE", "TANDEM_JOIN_FILE"] {
            assert!(command.get_envs().any(|(key, value)| key == name && value.is_none()), "{name}");
        }
    }

    #[test]
    fn search_permission_is_the_first_class_that_fits() {
        let (uid, gid) = (Uid::from_raw(7), Gid::from_raw(8));
        assert!(may_enter(0o700, 7, 0, uid, gid));
        assert!(!may_enter(0o700, 0, 0, uid, gid));
        assert!(may_enter(0o710, 0, 8, uid, gid));
        assert!(!may_enter(0o701, 0, 8, uid, gid));
        assert!(may_enter(0o701, 0, 0, uid, gid));
        assert!(!may_enter(0o677, 7, 8, uid, gid));
    }
}
