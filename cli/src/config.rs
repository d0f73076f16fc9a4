//! Which coordinator to talk to, and with which token: option, environment, config file, running `tandem up`, default.

use std::{
    env, fs,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::{
    exit::{Exit, Failure},
    home::Home,
    up::{lock, state::UpState},
};

/// Where a coordinator listens by default.
pub(crate) const DEFAULT_SERVER: &str = "http://127.0.0.1:7077";

/// `~/.config/tandem/config.toml`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConfigFile {
    pub(crate) server: Option<String>,
    pub(crate) token: Option<String>,
}

/// The coordinator that a command talks to.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Target {
    /// One address, or several that serve one database and are tried from left to right: `http://a:1,http://b:1`.
    pub(crate) server: String,
    pub(crate) token: Option<String>,
}

impl Target {
    /// `server` and `token` come from the command line or the environment and win over everything else.
    pub(crate) fn resolve(server: Option<String>, token: Option<String>) -> Result<Self> {
        let file = match path(|name| env::var_os(name).map(PathBuf::from)) {
            Some(path) => read(&path)?,
            None => ConfigFile::default(),
        };
        let server = server
            .or(file.server)
            .or_else(|| running_here().map(|state| state.server))
            .unwrap_or_else(|| DEFAULT_SERVER.to_owned());
        let servers = server.split(',').map(|one| normalise(one.trim())).collect::<Result<Vec<_>>>()?;
        Ok(Self { server: servers.join(","), token: token.or(file.token) })
    }
}

/// The running `tandem up` of this user. A file left by a killed one does not count.
fn running_here() -> Option<UpState> {
    let home = Home::at(None).ok()?;
    lock::holder(&home).ok()??;
    UpState::read(&home).ok()?
}

fn path(var: impl Fn(&str) -> Option<PathBuf>) -> Option<PathBuf> {
    let set = |name| var(name).filter(|path| !path.as_os_str().is_empty());
    let dir = set("XDG_CONFIG_HOME").or_else(|| Some(set("HOME")?.join(".config")))?;
    Some(dir.join("tandem/config.toml"))
}

fn read(path: &Path) -> Result<ConfigFile> {
    match fs::read_to_string(path) {
        Ok(text) => parse(&text).map_err(|error| {
            Failure::error(
                Exit::Config,
                format!("cannot use {}: {error}\nIt may set `server` and `token`.", path.display()),
            )
        }),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(ConfigFile::default()),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

fn parse(text: &str) -> Result<ConfigFile, toml::de::Error> {
    toml::from_str(text)
}

/// `host:port` means `http://host:port`.
fn normalise(server: &str) -> Result<String> {
    let url = if server.contains("://") { server.to_owned() } else { format!("http://{server}") };
    match url.split_once("://") {
        Some(("http", rest)) if !rest.trim_end_matches('/').is_empty() => Ok(url.trim_end_matches('/').to_owned()),
        Some(("https", _)) => Err(Failure::error(
            Exit::Config,
            format!(
                "cannot reach {server}: this version speaks plain http only; use an SSH tunnel (`ssh -L 7077:127.0.0.1:7077 host`)"
            ),
        )),
        _ => Err(Failure::error(
            Exit::Config,
            format!("`{server}` is no coordinator address: expected http://HOST:PORT"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_needs_no_scheme() {
        assert_eq!(normalise("box:7077").unwrap(), "http://box:7077");
        assert_eq!(normalise("http://box:7077/").unwrap(), "http://box:7077");
        assert!(normalise("https://box").unwrap_err().to_string().contains("ssh -L"));
        assert!(normalise("ftp://box").unwrap_err().to_string().contains("expected http://HOST:PORT"));
        assert!(normalise("http://").is_err());
    }

    #[test]
    fn unknown_keys_of_the_config_file_are_named() {
        assert_eq!(parse("server = \"a:1\"").unwrap().server.as_deref(), Some("a:1"));
        assert!(parse("sever = \"a:1\"").unwrap_err().to_string().contains("sever"));
    }
}
