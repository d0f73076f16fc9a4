//! `up.json`: what runs in a home, for other commands and for people.

use std::{fs, io::ErrorKind, net::IpAddr, path::PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use tandem_connect::{Address, address::HostPort};

use crate::{home::Home, render::table::pairs};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct UpState {
    /// The supervisor.
    pub(crate) pid: u32,
    pub(crate) server: String,
    /// Where this machine's own accounts reach it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) socket: Option<PathBuf>,
    /// Of the coordinator's certificate, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) fingerprint: Option<String>,
    /// Without the password. That of an earlier version had it: nothing prints what was read.
    #[serde(default)]
    pub(crate) database_url: String,
    /// The same, by the name that scripts know it by.
    #[serde(default)]
    pub(crate) database: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) database_password_file: Option<PathBuf>,
    pub(crate) home: PathBuf,
    pub(crate) data: PathBuf,
    pub(crate) logs: PathBuf,
    pub(crate) workers: Vec<String>,
}

impl UpState {
    /// None if nothing was ever ready here. The file may outlive its supervisor: only the lock says whether that one runs.
    pub(crate) fn read(home: &Home) -> Result<Option<Self>> {
        let path = home.state();
        match fs::read_to_string(&path) {
            Ok(text) => {
                let state = serde_json::from_str(&text).with_context(|| format!("{} is damaged", path.display()))?;
                Ok(Some(state))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
        }
    }

    pub(crate) fn write(&self, home: &Home) -> Result<()> {
        let path = home.state();
        let text = serde_json::to_string_pretty(self).context("cannot write JSON")? + "\n";
        tandem_durable::replace(&path, text.as_bytes(), tandem_durable::Mode::Private)
            .with_context(|| format!("cannot write {}", path.display()))
    }

    pub(crate) fn remove(home: &Home) {
        // A file that stays is harmless: it counts only while the lock is held.
        let _ = fs::remove_file(home.state());
    }

    /// The address for commands of this machine.
    pub(crate) fn reached_at(&self) -> String {
        match &self.socket {
            Some(socket) => Address::Unix(socket.clone()).to_string(),
            None => self.server.clone(),
        }
    }

    /// What joins it from another machine.
    pub(crate) fn join_line(&self) -> Option<String> {
        let fingerprint = self.fingerprint.as_ref()?;
        let Ok(address @ Address::Https(_)) = self.server.parse() else { return None };
        Some(format!("tandem join {} {fingerprint}", from_afar(address)))
    }

    /// The table that `tandem up` prints when all is ready.
    pub(crate) fn table(&self) -> String {
        let workers = if self.workers.is_empty() { "none".to_owned() } else { self.workers.join(", ") };
        let password = self.database_password_file.as_ref();
        let password = password.map(|file| format!(" (its password is in {})", file.display())).unwrap_or_default();
        pairs(&[
            ("coordinator", self.server.clone()),
            ("socket", self.socket.as_ref().map(|socket| socket.display().to_string()).unwrap_or_default()),
            ("join from afar", self.join_line().unwrap_or_default()),
            ("workers", workers),
            ("data sets", self.data.display().to_string()),
            ("logs", self.logs.display().to_string()),
            ("database", format!("{}{password}", self.database)),
            ("submit with", "tandem submit examples/quickstart.toml --wait".to_owned()),
        ])
    }
}

/// As other machines reach it: where it listens everywhere, a name is all that they can use.
pub(crate) fn from_afar(address: Address) -> Address {
    match address {
        Address::Https(at) if at.host.parse::<IpAddr>().is_ok_and(|ip| ip.is_unspecified()) => {
            let name = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
            let host = name.filter(|name| !name.is_empty()).unwrap_or_else(|| "HOST".to_owned());
            Address::Https(HostPort { host, ..at })
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn is_read_as_written_and_private() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(Some(dir.path().to_owned())).unwrap();
        assert_eq!(UpState::read(&home).unwrap(), None);
        let state = UpState {
            pid: 7,
            server: "https://0.0.0.0:7077".to_owned(),
            socket: Some(home.socket()),
            fingerprint: Some("ab12".to_owned()),
            database_url: "postgres://tandem@127.0.0.1:1/tandem".to_owned(),
            database: "postgres://tandem@127.0.0.1:1/tandem".to_owned(),
            database_password_file: Some(home.database_password()),
            home: home.root().to_owned(),
            data: home.data(),
            logs: home.logs(),
            workers: vec!["cpu-0".to_owned()],
        };
        state.write(&home).unwrap();
        assert_eq!(UpState::read(&home).unwrap(), Some(state.clone()));
        let printed = state.table();
        assert!(printed.contains("tandem@127.0.0.1:1") && printed.contains("database-password"), "{printed}");
        assert!(printed.contains(":7077 ab12") && !printed.contains("join https://0.0.0.0"), "{printed}");
        assert_eq!(state.reached_at(), format!("unix:{}", home.socket().display()));
        assert_eq!(fs::metadata(home.state()).unwrap().permissions().mode() & 0o777, 0o600);
        UpState::remove(&home);
        assert_eq!(UpState::read(&home).unwrap(), None);
    }

    #[test]
    fn a_file_of_an_earlier_version_is_read() {
        let text = r#"{"pid": 7, "server": "http://127.0.0.1:7077", "database_url": "postgres://t:s3cret@h/d", "home": "/h",
            "data": "/d", "logs": "/l", "workers": []}"#;
        let state: UpState = serde_json::from_str(text).unwrap();
        assert_eq!(state.reached_at(), "http://127.0.0.1:7077");
        assert!(state.join_line().is_none() && !state.table().contains("s3cret"));
    }
}
