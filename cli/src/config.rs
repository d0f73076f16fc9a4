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
    home::{self, Home},
    output::Output,
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

/// The coordinators that a command talks to.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Target {
    /// They serve one database, and are tried from left to right.
    pub(crate) servers: Vec<String>,
    pub(crate) token: Option<String>,
}

impl Target {
    /// `server` and `token` come from the command line or the environment and win over everything else. An empty one
    /// counts as unset.
    pub(crate) fn resolve(server: Option<String>, token: Option<String>, output: &Output) -> Result<Self> {
        let set = |text: Option<String>| text.filter(|text| !text.trim().is_empty());
        let file = match path(|name| env::var_os(name).map(PathBuf::from)) {
            Some(path) => read(&path)?,
            None => ConfigFile::default(),
        };
        let server = match set(server).or(set(file.server)) {
            Some(server) => server,
            None => running_here(home::from_environment(), output)?,
        };
        Ok(Self { servers: servers(&server)?, token: set(token).or(file.token) })
    }
}

/// The coordinator of this user's running `tandem up`, or else the default one, which a note then names: somebody else's
/// may answer there. A file left by a killed `up` does not count.
///
/// `chosen` is whether somebody chose the home: then what cannot be read in it is an error.
fn running_here((home, chosen): (Option<Home>, bool), output: &Output) -> Result<String> {
    let default = |why: &str| {
        output.note(&format!("asking {DEFAULT_SERVER}, the default: {why}; --server or TANDEM_SERVER names another"));
        Ok(DEFAULT_SERVER.to_owned())
    };
    let Some(home) = home else { return default("no home is set") };
    let dir = home.root().display();
    match running_in(&home) {
        Ok(Some(server)) => Ok(server),
        Ok(None) => default(&format!("nothing runs in {dir}")),
        Err(error) if chosen => Err(Failure::error(
            Exit::Config,
            format!("cannot tell which coordinator runs in {dir}: {error:#}; name it with --server"),
        )),
        Err(error) => default(&format!("cannot tell which coordinator runs in {dir}: {error:#}")),
    }
}

fn running_in(home: &Home) -> Result<Option<String>> {
    if lock::holder(home)?.is_none() {
        return Ok(None);
    }
    let state = UpState::read(home)?.context("`tandem up` is not ready yet")?;
    Ok(Some(state.server))
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
        Err(error) => Err(Failure::error(Exit::Config, format!("cannot read {}: {error}", path.display()))),
    }
}

fn parse(text: &str) -> Result<ConfigFile, toml::de::Error> {
    toml::from_str(text)
}

/// The addresses of a list: at least one.
fn servers(list: &str) -> Result<Vec<String>> {
    list.trim_end_matches(',').split(',').map(|one| normalise(one.trim())).collect()
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
        assert_eq!(servers("a:1, b:2,").unwrap(), ["http://a:1", "http://b:2"]);
        assert!(servers(",").is_err() && servers("a:1,,b:2").is_err());
    }

    #[test]
    fn a_home_that_was_chosen_is_not_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        let home = || Some(Home::at(Some(dir.path().to_owned())).unwrap());
        let output = Output::new(false, crate::output::Color::Never);
        assert_eq!(running_here((home(), true), &output).unwrap(), DEFAULT_SERVER, "nothing runs there");
        let _lock = lock::Lock::take(&home().unwrap()).unwrap();
        fs::write(home().unwrap().state(), "{").unwrap();
        let error = running_here((home(), true), &output).unwrap_err();
        assert!(error.to_string().contains("damaged") && error.to_string().contains("--server"), "{error}");
        assert_eq!(running_here((home(), false), &output).unwrap(), DEFAULT_SERVER);
    }

    #[test]
    fn a_config_file_that_cannot_be_read_is_a_wrong_configuration() {
        let dir = tempfile::tempdir().unwrap();
        let text = dir.path().join("config.toml");
        fs::write(&text, [0xff]).unwrap();
        for path in [dir.path(), &text] {
            assert_eq!(crate::exit::classify(&read(path).unwrap_err()).0, Exit::Config);
        }
    }

    #[test]
    fn unknown_keys_of_the_config_file_are_named() {
        assert_eq!(parse("server = \"a:1\"").unwrap().server.as_deref(), Some("a:1"));
        assert!(parse("sever = \"a:1\"").unwrap_err().to_string().contains("sever"));
    }
}
