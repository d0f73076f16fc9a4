//! Finds the installed Postgres: `$TANDEM_PG_BIN`, PATH, Debian's version folders (newest first), `pg_config`.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Result, bail};

const DEBIAN: &str = "/usr/lib/postgresql";

/// The folder with `postgres` and `initdb`.
#[derive(Debug)]
pub(crate) struct Binaries {
    dir: PathBuf,
}

impl Binaries {
    /// The first installation found; with `version`, the first of that major version, because only it can read the data.
    pub(crate) fn find(version: Option<&str>) -> Result<Self> {
        let mut others = Vec::new();
        for dir in candidates() {
            let Some(found) = major_version(&dir) else { continue };
            if version.is_none_or(|wanted| wanted == found) {
                return Ok(Self { dir });
            }
            others.push(format!("{found} in {}", dir.display()));
        }
        match version {
            Some(wanted) if !others.is_empty() => bail!(
                "the data were made by Postgres {wanted}, but only {} is installed; install postgresql-{wanted}, \
                 or move the data with pg_upgrade",
                others.join(", ")
            ),
            _ => bail!(
                "found no Postgres: looked in $TANDEM_PG_BIN, PATH, {DEBIAN}/*/bin and `pg_config --bindir`; \
                 `apt-get install postgresql` brings it (its own service is not used and may stay off)"
            ),
        }
    }

    /// Version and folder.
    pub(crate) fn in_words(&self) -> String {
        let version = major_version(&self.dir).unwrap_or_else(|| "an unknown version".to_owned());
        format!("{version} in {}", self.dir.display())
    }

    /// A tool of this installation, or else the one in PATH: clients such as psql may come in another package.
    pub(crate) fn command(&self, tool: &str) -> Command {
        Command::new(self.path(tool))
    }

    pub(crate) fn path(&self, tool: &str) -> PathBuf {
        let here = self.dir.join(tool);
        if here.is_file() { here } else { PathBuf::from(tool) }
    }
}

fn candidates() -> Vec<PathBuf> {
    // A link in PATH leads to the folder that has the other tools as well.
    let from_path = env::var_os("PATH").and_then(|path| {
        let postgres = env::split_paths(&path).map(|dir| dir.join("postgres")).find(|file| file.is_file())?;
        postgres.canonicalize().ok()?.parent().map(Path::to_path_buf)
    });
    let from_pg_config = Command::new("pg_config").arg("--bindir").output().ok();
    let from_pg_config = from_pg_config.and_then(|output| String::from_utf8(output.stdout).ok());

    let mut dirs: Vec<PathBuf> = env::var_os("TANDEM_PG_BIN").map(PathBuf::from).into_iter().collect();
    dirs.extend(from_path);
    dirs.extend(debian_versions());
    dirs.extend(from_pg_config.map(|dir| PathBuf::from(dir.trim())));
    dirs.retain(|dir| dir.join("postgres").is_file() && dir.join("initdb").is_file());
    dirs
}

fn debian_versions() -> Vec<PathBuf> {
    let Ok(entries) = Path::new(DEBIAN).read_dir() else { return Vec::new() };
    let mut versions: Vec<(u32, PathBuf)> = entries
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            Some((path.file_name()?.to_str()?.parse().ok()?, path.join("bin")))
        })
        .collect();
    versions.sort_by_key(|(version, _)| std::cmp::Reverse(*version));
    versions.into_iter().map(|(_, dir)| dir).collect()
}

fn major_version(dir: &Path) -> Option<String> {
    let output = Command::new(dir.join("postgres")).arg("--version").output().ok()?;
    parse_major(std::str::from_utf8(&output.stdout).ok()?).map(str::to_owned)
}

/// `postgres (PostgreSQL) 15.18 (Debian ...)` is 15, `postgres (PostgreSQL) 18beta1` is 18.
fn parse_major(version: &str) -> Option<&str> {
    let number = version.split_whitespace().nth(2)?;
    let end = number.find(|c: char| !c.is_ascii_digit()).unwrap_or(number.len());
    (end > 0).then(|| &number[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn major_version_is_the_leading_number() {
        assert_eq!(parse_major("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)"), Some("15"));
        assert_eq!(parse_major("postgres (PostgreSQL) 18beta1"), Some("18"));
        assert_eq!(parse_major("postgres (PostgreSQL) devel"), None);
        assert_eq!(parse_major(""), None);
    }

    #[test]
    fn a_missing_version_is_named() {
        let message = Binaries::find(Some("7")).unwrap_err().to_string();
        assert!(message.contains("Postgres 7") && message.contains("pg_upgrade"), "{message}");
    }
}
