//! The programs of a stack, and the arguments that they are started with. No secret is among these: everybody on the
//! machine can read them.

use std::{
    env,
    ffi::OsString,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use clap::ValueEnum;

use super::{plan::WorkerPlan, process::Program};
use crate::{
    exit::{Exit, Failure},
    home::Home,
};

/// What to start.
#[derive(Clone, Debug)]
pub(crate) struct StackOptions {
    pub(crate) listen: SocketAddr,
    pub(crate) socket: PathBuf,
    pub(crate) login_role: LoginRole,
    pub(crate) data: PathBuf,
    pub(crate) workers: Vec<WorkerPlan>,
}

/// What an account of this machine may do that is linked to no person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LoginRole {
    None,
    Reader,
    Submitter,
}

impl LoginRole {
    fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Reader => "reader",
            Self::Submitter => "submitter",
        }
    }
}

/// The programs beside this one, or in `$TANDEM_BIN_DIR`.
#[derive(Clone, Debug)]
pub(crate) struct Binaries {
    server: PathBuf,
    worker: PathBuf,
}

/// The worker's program, if it is where [`Binaries::find`] looks.
pub(crate) fn worker_beside() -> Option<PathBuf> {
    Binaries::find().ok().map(|binaries| binaries.worker)
}

/// The coordinator's program: where no worker is, there may be none of its.
pub(crate) fn server() -> Result<PathBuf> {
    find(&folder()?, "tandem-server")
}

fn folder() -> Result<PathBuf> {
    match env::var_os("TANDEM_BIN_DIR").filter(|dir| !dir.is_empty()) {
        Some(dir) => Ok(PathBuf::from(dir)),
        None => {
            let own = env::current_exe().context("cannot find out where this program is")?;
            Ok(own.parent().map(Path::to_path_buf).unwrap_or_default())
        }
    }
}

fn find(dir: &Path, name: &str) -> Result<PathBuf> {
    let path = dir.join(name);
    if path.is_file() {
        return Ok(path);
    }
    let hint = "`cargo build` makes it; TANDEM_BIN_DIR names another folder";
    Err(Failure::error(Exit::NotFound, format!("found no {name} in {}: {hint}", dir.display())))
}

impl Binaries {
    pub(crate) fn find() -> Result<Self> {
        let dir = folder()?;
        Ok(Self { server: find(&dir, "tandem-server")?, worker: find(&dir, "tandem-worker")? })
    }

    /// `database_url` is without the password, which is in a file of the home. `listen` is where it listens, if it did before:
    /// a coordinator keeps its address when it is started again, even if the system chose the port at first.
    pub(crate) fn server(&self, home: &Home, options: &StackOptions, listen: &str, database_url: &str) -> Program {
        let mut args: Vec<OsString> = vec!["--listen".into(), listen.into(), "--store".into(), home.store().into()];
        args.extend(["--announce".into(), home.announcement().into()]);
        args.extend(["--socket".into(), options.socket.clone().into()]);
        args.extend(["--login-role".into(), options.login_role.word().into()]);
        args.extend(["--database-password-file".into(), home.database_password().into()]);
        args.extend(["--receipt-key".into(), home.receipt_key().into()]);
        if !options.listen.ip().is_loopback() {
            args.extend(["--tls-dir".into(), home.tls().into()]);
        }
        Program {
            name: "the coordinator".to_owned(),
            path: self.server.clone(),
            args,
            env: vec![("DATABASE_URL", database_url.into())],
            log: home.logs().join("server.log"),
        }
    }

    /// Its coordinators and its token are in its join file.
    pub(crate) fn worker(&self, home: &Home, data: &Path, plan: &WorkerPlan) -> Program {
        let mut args: Vec<OsString> = vec!["run".into(), "--join-file".into(), home.worker_join(&plan.name).into()];
        args.extend(["--name".into(), plan.name.as_str().into(), "--device".into(), plan.device.as_str().into()]);
        args.extend(["--data".into(), data.into(), "--state".into(), home.worker(&plan.name).into()]);
        Program {
            name: format!("worker {}", plan.name),
            path: self.worker.clone(),
            args,
            env: Vec::new(),
            log: home.logs().join(format!("worker-{}.log", plan.name)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server_args(listen: &str) -> String {
        let home = Home::at(Some("/home/t".into())).unwrap();
        let binaries = Binaries { server: "server".into(), worker: "worker".into() };
        let options = StackOptions {
            listen: listen.parse().unwrap(),
            socket: "/home/t/tandem.sock".into(),
            login_role: LoginRole::Submitter,
            data: "/data".into(),
            workers: Vec::new(),
        };
        let program = binaries.server(&home, &options, listen, "postgres://tandem@127.0.0.1:1/tandem");
        program.args.join(std::ffi::OsStr::new(" ")).into_string().unwrap()
    }

    #[test]
    fn a_certificate_is_for_who_comes_from_afar() {
        let here = server_args("127.0.0.1:7077");
        assert!(here.contains("--socket /home/t/tandem.sock --login-role submitter"), "{here}");
        assert!(here.contains("--receipt-key /home/t/receipt.key"), "{here}");
        assert!(here.contains("--database-password-file /home/t/database-password") && !here.contains("--tls-dir"));
        assert!(server_args("0.0.0.0:7077").contains("--tls-dir /home/t/tls"));
    }
}
