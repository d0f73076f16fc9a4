use std::{
    env,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};

use crate::program::Program;

/// The programs of this workspace.
#[derive(Clone, Debug)]
pub struct Binaries {
    pub tandem: PathBuf,
    pub server: PathBuf,
    pub worker: PathBuf,
}

impl Binaries {
    /// Those that were built together with this program. Fails if one is missing.
    pub fn beside_this_program() -> Result<Self> {
        let own = env::current_exe().context("cannot find out where this program is")?;
        let folder = own.parent().context("a program lies in a folder")?;
        // Cargo puts tests one folder below the binaries.
        Self::in_folder(folder.parent().filter(|_| folder.ends_with("deps")).unwrap_or(folder))
    }

    /// Fails if one is missing.
    pub fn in_folder(folder: &Path) -> Result<Self> {
        let find = |name: &str| {
            let path = folder.join(name);
            let profile = if cfg!(debug_assertions) { "" } else { " --release" };
            ensure!(path.is_file(), "found no {}: `cargo build{profile} --workspace --bins` makes it", path.display());
            Ok(path)
        };
        Ok(Self { tandem: find("tandem")?, server: find("tandem-server")?, worker: find("tandem-worker")? })
    }

    /// A coordinator that listens on `listen` (`HOST:PORT`) and writes its address to `announce`.
    #[must_use]
    pub fn coordinator(
        &self,
        name: &str,
        log: &Path,
        listen: &str,
        database_url: &str,
        store: &Path,
        announce: &Path,
    ) -> Program {
        Program::new(name, &self.server, log)
            .args(["--listen", listen, "--store"])
            .arg(store)
            .arg("--announce")
            .arg(announce)
            // Not an argument: everybody on the machine may read those, and the URL holds the password.
            .env("DATABASE_URL", database_url)
    }

    /// A CPU worker. `servers` are coordinators' addresses, with commas between.
    #[must_use]
    pub fn worker(&self, name: &str, log: &Path, servers: &str, data: &Path, state: &Path) -> Program {
        Program::new(name, &self.worker, log)
            .args(["run", "--server", servers, "--name", name, "--device", "cpu", "--data"])
            .arg(data)
            .arg("--state")
            .arg(state)
    }
}
