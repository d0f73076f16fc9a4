//! `~/.config/tandem`: the folder of a person's own settings, and the config file in it.

use std::{
    env, fs,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use anyhow::{Error, Result};
use serde::Deserialize;
use tandem_connect::{join_file::without_text, secret};
use tandem_domain::access::token::Token;

use crate::exit::{Exit, Failure};

/// `config.toml`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ConfigFile {
    pub(crate) server: Option<String>,
    pub(crate) token: Option<Token>,
}

/// As it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    server: Option<String>,
    token: Option<String>,
}

/// The folder; `None` where neither HOME nor XDG_CONFIG_HOME is set.
pub(crate) fn dir() -> Option<PathBuf> {
    dir_of(|name| env::var_os(name).map(PathBuf::from))
}

/// For what has to be kept there.
pub(crate) fn needed_dir() -> Result<PathBuf> {
    dir().ok_or_else(no_dir)
}

pub(crate) fn no_dir() -> Error {
    Failure::error(Exit::Config, "found no folder for settings: neither HOME nor XDG_CONFIG_HOME is set")
}

fn dir_of(var: impl Fn(&str) -> Option<PathBuf>) -> Option<PathBuf> {
    let set = |name| var(name).filter(|path| !path.as_os_str().is_empty());
    let dir = set("XDG_CONFIG_HOME").or_else(|| Some(set("HOME")?.join(".config")))?;
    Some(dir.join("tandem"))
}

/// What the config file sets: nothing where there is none.
pub(crate) fn read(dir: &Path) -> Result<ConfigFile> {
    let path = dir.join("config.toml");
    match fs::read_to_string(&path) {
        Ok(text) => parse(&text, || secret::read(&path).map(drop)).map_err(|why| wrong(&path, &why)),
        // No folder either, or something else in its place.
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Ok(ConfigFile::default())
        }
        Err(error) => Err(Failure::error(Exit::Config, format!("cannot read {}: {error}", path.display()))),
    }
}

fn wrong(path: &Path, why: &str) -> Error {
    Failure::error(Exit::Config, format!("cannot use {}: {why}\nIt may set `server` and `token`.", path.display()))
}

/// `is_private` is asked where the text holds a token.
fn parse(text: &str, is_private: impl FnOnce() -> Result<(), String>) -> Result<ConfigFile, String> {
    let Text { server, token } = toml::from_str(text).map_err(|error| without_text(text, &error))?;
    let token = match token.filter(|token| !token.trim().is_empty()) {
        Some(token) => {
            is_private()?;
            Some(secret::parse_token(&token).map_err(|why| format!("`token` is none: {why}"))?)
        }
        None => None,
    };
    Ok(ConfigFile { server: server.filter(|server| !server.trim().is_empty()), token })
}

#[cfg(test)]
mod tests {
    use tandem_domain::access::{PersonRole, TokenRole, token::RANDOM_BYTES};

    use super::*;

    #[test]
    fn a_config_file_that_cannot_be_read_is_a_wrong_configuration() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(read(dir.path()).unwrap(), ConfigFile::default());
        fs::write(dir.path().join("config.toml"), [0xff]).unwrap();
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("config.toml")).unwrap();
        for dir in [dir.path(), folder.path()] {
            assert_eq!(crate::exit::classify(&read(dir).unwrap_err()).0, Exit::Config);
        }
    }

    #[test]
    fn unknown_keys_of_the_config_file_are_named() {
        let parse = |text| parse(text, || Ok(()));
        assert_eq!(parse("server = \"a:1\"").unwrap().server.as_deref(), Some("a:1"));
        assert!(parse("sever = \"a:1\"").unwrap_err().contains("sever"));
    }

    #[test]
    fn a_token_is_kept_where_nobody_else_reads_it_and_never_shown() {
        let token = Token::new(TokenRole::Person(PersonRole::Reader), &[3; RANDOM_BYTES]);
        let text = format!("token = \"{}\"", token.reveal());
        assert_eq!(parse(&text, || Ok(())).unwrap().token, Some(token.clone()));
        assert_eq!(parse(&text, || Err("chmod 600".to_owned())).unwrap_err(), "chmod 600");
        for damaged in [text.replace("token =", "tokn ="), text.replace('"', ""), text.replace("tdm_", "tdm")] {
            let error = parse(&damaged, || Ok(())).unwrap_err();
            assert!(!error.contains(&token.reveal()[20..40]), "{error}");
        }
    }

    #[test]
    fn the_folder_is_the_first_that_is_set() {
        let of = |vars: &[(&str, &str)]| {
            dir_of(|name| vars.iter().find(|(key, _)| *key == name).map(|(_, value)| PathBuf::from(value)))
        };
        assert_eq!(of(&[("HOME", "/home/ann")]), Some("/home/ann/.config/tandem".into()));
        assert_eq!(of(&[("HOME", "/home/ann"), ("XDG_CONFIG_HOME", "/c")]), Some("/c/tandem".into()));
        assert_eq!(of(&[("HOME", "")]), None);
    }
}
