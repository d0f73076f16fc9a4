//! Contexts: the coordinators that were joined, each by a name, with whom to trust there and a token.

use std::{
    fs::{self, DirBuilder},
    io::{self, ErrorKind},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use anyhow::{Error, Result};
use tandem_connect::{Address, JoinFile};
use tandem_domain::access::name;
use tandem_durable::Mode;

use crate::exit::{Exit, Failure};

const ENDING: &str = ".toml";

/// In the folder of settings: `contexts/NAME.toml`, and `current-context`.
#[derive(Clone, Debug)]
pub(crate) struct Contexts {
    dir: PathBuf,
}

impl Contexts {
    pub(crate) fn in_dir(dir: &Path) -> Self {
        Self { dir: dir.to_owned() }
    }

    /// All of them, by name.
    pub(crate) fn names(&self) -> Result<Vec<String>> {
        let folder = self.folder();
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            // Nobody has joined anything: no folder, or no folder for it either.
            Err(error) if is_absent(&error) => return Ok(Vec::new()),
            Err(error) => return Err(cannot("read", &folder, &error)),
        };
        let name_of = |entry: io::Result<fs::DirEntry>| {
            let name = entry.ok()?.file_name().into_string().ok()?.strip_suffix(ENDING)?.to_owned();
            check(&name).ok().map(|()| name)
        };
        let mut names: Vec<String> = entries.filter_map(name_of).collect();
        names.sort();
        Ok(names)
    }

    pub(crate) fn read(&self, name: &str) -> Result<JoinFile> {
        self.check_is_there(name)?;
        JoinFile::read(&self.file(name)).map_err(|why| Failure::error(Exit::Config, format!("context {name}: {why}")))
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.file(name).exists()
    }

    pub(crate) fn write(&self, name: &str, joined: &JoinFile) -> Result<()> {
        check(name)?;
        let folder = self.folder();
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&folder);
        made.map_err(|error| cannot("make the folder", &folder, &error))?;
        let file = self.file(name);
        joined.write(&file).map_err(|error| cannot("write", &file, &error))
    }

    /// The one that is used where no other is named.
    pub(crate) fn current(&self) -> Result<Option<String>> {
        let file = self.current_file();
        match fs::read_to_string(&file) {
            Ok(text) => Ok(Some(text.trim().to_owned()).filter(|name| !name.is_empty())),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(cannot("read", &file, &error)),
        }
    }

    pub(crate) fn make_current(&self, name: &str) -> Result<()> {
        self.check_is_there(name)?;
        let file = self.current_file();
        let written = tandem_durable::replace(&file, format!("{name}\n").as_bytes(), Mode::Shared);
        written.map_err(|error| cannot("write", &file, &error))
    }

    /// Its token stays good: only `tandem token revoke` ends that.
    pub(crate) fn remove(&self, name: &str) -> Result<()> {
        self.check_is_there(name)?;
        // This first: a current context that is not there would stop every command.
        if self.current()?.as_deref() == Some(name) {
            let file = self.current_file();
            fs::remove_file(&file).map_err(|error| cannot("remove", &file, &error))?;
        }
        let file = self.file(name);
        fs::remove_file(&file).map_err(|error| cannot("remove", &file, &error))
    }

    /// The context that lists all of these, the current one first. One that cannot be read is passed over.
    pub(crate) fn listing(&self, servers: &[Address]) -> Result<Option<JoinFile>> {
        let mut names = self.names()?;
        let current = self.current()?;
        names.sort_by_key(|name| Some(name) != current.as_ref());
        let mut joined = names.iter().filter_map(|name| self.read(name).ok());
        Ok(joined.find(|joined| servers.iter().all(|server| joined.servers.contains(server))))
    }

    fn check_is_there(&self, name: &str) -> Result<()> {
        check(name)?;
        if self.has(name) {
            return Ok(());
        }
        let names = self.names()?;
        let hint = if names.is_empty() {
            "there is none yet; `tandem join URL FINGERPRINT` makes one".to_owned()
        } else {
            format!("there are: {}", names.join(", "))
        };
        Err(Failure::error(Exit::Config, format!("no context `{name}` here; {hint}")))
    }

    fn folder(&self) -> PathBuf {
        self.dir.join("contexts")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder().join(format!("{name}{ENDING}"))
    }

    fn current_file(&self) -> PathBuf {
        self.dir.join("current-context")
    }
}

pub(crate) fn check(name: &str) -> Result<()> {
    name::check("a context", name).map_err(|why| Failure::error(Exit::Usage, why))
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

fn cannot(what: &str, path: &Path, error: &io::Error) -> Error {
    Failure::error(Exit::Config, format!("cannot {what} {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::classify;

    fn joined(servers: &[&str]) -> JoinFile {
        let servers = servers.iter().map(|one| one.parse().unwrap()).collect();
        JoinFile { servers, house: None, token: None }
    }

    #[test]
    fn one_is_current_until_another_is_or_it_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let contexts = Contexts::in_dir(&dir.path().join("tandem"));
        assert_eq!((contexts.names().unwrap(), contexts.current().unwrap()), (vec![], None));
        let error = contexts.make_current("box").unwrap_err();
        assert_eq!(classify(&error).0, Exit::Config);
        assert!(error.to_string().contains("tandem join"), "{error}");

        contexts.write("box", &joined(&["http://127.0.0.1:1"])).unwrap();
        contexts.write("a.b", &joined(&["http://127.0.0.1:2"])).unwrap();
        contexts.make_current("box").unwrap();
        assert_eq!(contexts.names().unwrap(), ["a.b", "box"]);
        assert_eq!(contexts.current().unwrap().as_deref(), Some("box"));
        assert_eq!(contexts.read("box").unwrap(), joined(&["http://127.0.0.1:1"]));
        contexts.remove("box").unwrap();
        assert_eq!((contexts.names().unwrap(), contexts.current().unwrap()), (vec!["a.b".to_owned()], None));
        assert!(contexts.read("box").unwrap_err().to_string().contains("there are: a.b"));
        assert_eq!(classify(&contexts.read("../box").unwrap_err()).0, Exit::Usage, "a name is no path");
    }

    #[test]
    fn a_server_finds_its_context() {
        let dir = tempfile::tempdir().unwrap();
        let contexts = Contexts::in_dir(dir.path());
        let (one, two) = (joined(&["https://a:1", "https://b:1"]), joined(&["https://b:1"]));
        contexts.write("one", &one).unwrap();
        contexts.write("two", &two).unwrap();
        fs::write(dir.path().join("contexts/0.toml"), "damaged").unwrap();
        let listing = |servers: &[&str]| contexts.listing(&joined(servers).servers).unwrap();
        assert_eq!(listing(&["https://b:1"]), Some(one.clone()));
        contexts.make_current("two").unwrap();
        assert_eq!(listing(&["https://b:1"]), Some(two), "the current one first");
        assert_eq!(listing(&["https://b:1", "https://a:1"]), Some(one));
        assert_eq!(listing(&["https://c:1"]), None);
    }
}
