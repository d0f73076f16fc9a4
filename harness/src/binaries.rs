use std::{
    env,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};

use crate::{
    outcome::run,
    program::{Program, command},
};

/// The socket of a coordinator that announces itself in this file.
#[must_use]
pub fn socket_beside(announce: &Path) -> PathBuf {
    announce.with_extension("sock")
}

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

    /// A coordinator that listens on `listen` (`HOST:PORT`) and writes its address to `announce`. Whoever runs the test is its
    /// admin by the socket beside that file: see [`socket_beside`].
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
            .arg("--socket")
            .arg(socket_beside(announce))
            // Coordinators of one house share it.
            .arg("--receipt-key")
            .arg(announce.with_file_name("receipt.key"))
            // Not an argument: everybody on the machine may read those, and the URL holds the password.
            .env("DATABASE_URL", database_url)
    }

    /// A CPU worker. `servers` are coordinators' addresses, with commas between; `token` is a file.
    #[must_use]
    pub fn worker(&self, name: &str, log: &Path, servers: &str, token: &Path, data: &Path, state: &Path) -> Program {
        Program::new(name, &self.worker, log)
            .args(["run", "--server", servers, "--name", name, "--device", "cpu", "--token-file"])
            .arg(token)
            .arg("--data")
            .arg(data)
            .arg("--state")
            .arg(state)
    }

    /// Has a token for a worker made, by the socket of its coordinator, and written to `file`.
    ///
    /// # Errors
    /// When the coordinator refuses, with what it says.
    pub fn make_worker_token(&self, socket: &Path, name: &str, file: &Path) -> Result<()> {
        let server = format!("unix:{}", socket.display());
        let mut tandem = command(&self.tandem);
        tandem.args(["--server", &server, "token", "new", name, "--role", "worker", "--out"]).arg(file);
        let made = run(&mut tandem, "");
        ensure!(made.code == 0, "`tandem token new` ended with {}: {}", made.code, made.stderr);
        Ok(())
    }
}
