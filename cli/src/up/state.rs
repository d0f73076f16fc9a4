//! `up.json`: what runs in a home, for other commands and for people.

use std::{fs, io::ErrorKind, path::PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::{
    home::{Home, STATE_FILE},
    render::table::pairs,
};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct UpState {
    /// The supervisor.
    pub(crate) pid: u32,
    pub(crate) server: String,
    /// Holds the database's password: the file is for its owner only, and nothing prints it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) database_url: String,
    /// The same without the password.
    #[serde(default)]
    pub(crate) database: String,
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

    fn file(&self) -> PathBuf {
        self.home.join(STATE_FILE)
    }

    /// As it may stand in anybody's log: without the password.
    pub(crate) fn printed(&self) -> Self {
        Self { database_url: String::new(), ..self.clone() }
    }

    /// The table that `tandem up` prints when all is ready.
    pub(crate) fn table(&self) -> String {
        let workers = if self.workers.is_empty() { "none".to_owned() } else { self.workers.join(", ") };
        pairs(&[
            ("coordinator", self.server.clone()),
            ("workers", workers),
            ("data sets", self.data.display().to_string()),
            ("logs", self.logs.display().to_string()),
            ("database", format!("{} (database_url in {} has the password)", self.database, self.file().display())),
            ("submit with", "tandem submit examples/quickstart.toml --wait".to_owned()),
        ])
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
            server: "http://127.0.0.1:7077".to_owned(),
            database_url: "postgres://tandem:s3cret@127.0.0.1:1/tandem".to_owned(),
            database: "postgres://tandem@127.0.0.1:1/tandem".to_owned(),
            home: home.root().to_owned(),
            data: home.data(),
            logs: home.logs(),
            workers: vec!["cpu-0".to_owned()],
        };
        state.write(&home).unwrap();
        assert_eq!(UpState::read(&home).unwrap(), Some(state.clone()));
        let printed = state.table() + &serde_json::to_string(&state.printed()).unwrap();
        assert!(printed.contains("tandem@127.0.0.1:1") && !printed.contains("s3cret"), "{printed}");
        assert_eq!(fs::metadata(home.state()).unwrap().permissions().mode() & 0o777, 0o600);
        UpState::remove(&home);
        assert_eq!(UpState::read(&home).unwrap(), None);
    }
}
