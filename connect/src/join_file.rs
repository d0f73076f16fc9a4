//! The join file: coordinators, whom to trust there, and a token. What `tandem join` keeps, and what a worker is given.

use std::{io, path::Path};

use serde::{Deserialize, Serialize};
use tandem_domain::access::token::Token;
use tandem_durable::Mode;

use crate::{address::Address, house::House, secret};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinFile {
    /// Of one database; at least one.
    pub servers: Vec<Address>,
    /// `None` on this machine, over plain http or a socket.
    pub house: Option<House>,
    pub token: Option<Token>,
}

/// As it is written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    servers: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fingerprint: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    server_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ca: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
}

impl JoinFile {
    /// # Errors
    /// Where others may read it, or what is in it cannot be used: the file, the place and the cure, never the token.
    pub fn read(path: &Path) -> Result<Self, String> {
        let text = secret::read(path)?;
        Self::parse(&text).map_err(|why| format!("cannot use {}: {why}", path.display()))
    }

    /// For its owner alone, and whole or not at all.
    ///
    /// # Errors
    /// Where the folder takes no file.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        let text = self.to_toml().map_err(io::Error::other)?;
        tandem_durable::replace(path, text.as_bytes(), Mode::Private)
    }

    /// The text that [`parse`](Self::parse) reads, with the token in it.
    ///
    /// # Errors
    /// Never for what was parsed.
    pub fn to_toml(&self) -> Result<String, toml::ser::Error> {
        toml::to_string_pretty(&self.text())
    }

    fn text(&self) -> Text {
        let house = self.house.as_ref();
        Text {
            servers: self.servers.iter().map(ToString::to_string).collect(),
            fingerprint: house.map(|house| house.fingerprint().to_string()),
            server_name: house.map(|house| house.server_name().to_owned()),
            ca: house.map(|house| house.ca().to_owned()),
            token: self.token.as_ref().map(|token| token.reveal().to_owned()),
        }
    }

    /// # Errors
    /// What cannot be used, and where; never the token.
    pub fn parse(text: &str) -> Result<Self, String> {
        Self::read_text(text).map_err(|why| secret::masked(&why))
    }

    fn read_text(text: &str) -> Result<Self, String> {
        let Text { servers, fingerprint, server_name, ca, token } =
            toml::from_str(text).map_err(|error| without_text(text, &error))?;
        let servers: Vec<Address> = servers.iter().map(|one| one.parse()).collect::<Result<_, _>>()?;
        if servers.is_empty() {
            return Err("`servers` names no coordinator".to_owned());
        }
        let house = match (ca, fingerprint, server_name) {
            (Some(ca), Some(fingerprint), Some(server_name)) => Some(House::read(&ca, &fingerprint, &server_name)?),
            (None, None, None) => None,
            _ => return Err("`ca`, `fingerprint` and `server_name` go together".to_owned()),
        };
        let token = token.as_deref().map(secret::parse_token).transpose();
        let token = token.map_err(|why| format!("`token` is none: {why}"))?;
        Ok(Self { servers, house, token })
    }
}

/// What is wrong with a TOML text that holds a secret, and where: the parser itself would quote the line.
pub fn without_text(text: &str, error: &toml::de::Error) -> String {
    let before = error.span().and_then(|span| text.get(..span.start));
    let line = before.map(|before| format!("line {}: ", 1 + before.matches('\n').count())).unwrap_or_default();
    // Only the first line of it: what follows may quote. It may itself, where it names a key or a value.
    format!("{line}{}", secret::masked(error.message().lines().next().unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use super::*;
    use crate::{
        house::OWN_NAME,
        test_house::{TestHouse, token},
    };

    fn joined(house: Option<House>) -> JoinFile {
        let servers = vec!["https://box:7077".parse().unwrap(), "https://spare:7077".parse().unwrap()];
        JoinFile { servers, house, token: Some(token()) }
    }

    #[test]
    fn is_read_as_written_and_for_its_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("gpu-0.join");
        for house in [None, Some(House::new(&TestHouse::new().root, OWN_NAME))] {
            let file = joined(house);
            file.write(&path).unwrap();
            assert_eq!(JoinFile::read(&path), Ok(file));
        }
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(JoinFile::read(&path).unwrap_err().contains("chmod 600"));
    }

    #[test]
    fn what_is_wrong_is_named_and_the_token_never_shown() {
        let secret = token().reveal().to_owned();
        let cut = &secret[..50];
        for (text, expected) in [
            (String::new(), "missing field `servers`"),
            ("servers = []".to_owned(), "names no coordinator"),
            ("servers = [\"ftp://x:1\"]".to_owned(), "is no coordinator address"),
            (format!("servers = [\"a:1\"]\ntokens = \"{secret}\""), "line 2: unknown field `tokens`"),
            (format!("servers = [\"a:1\"]\ntoken = {secret}"), "line 2"),
            (format!("servers = [\"a:1\"]\ntoken = \"{cut}\""), "it was cut"),
            ("servers = [\"a:1\"]\nca = \"\"".to_owned(), "go together"),
            // In the wrong place.
            (format!("{secret} = 1"), "line 1: unknown field"),
            (format!("servers = \"{secret}\""), "invalid type"),
            (format!("servers = [\"ftp://{secret}:1\"]"), "is no coordinator address"),
            (format!("servers = [\"a:1\"]\n[token]\n{} = 1", &secret[8..]), "invalid type"),
        ] {
            let error = JoinFile::parse(&text).unwrap_err();
            assert!(error.contains(expected) && !error.contains(&secret[10..30]), "{error}");
        }
        assert!(!format!("{:?}", joined(None)).contains(&secret[14..50]));
    }
}
