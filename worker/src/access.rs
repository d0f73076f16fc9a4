//! Where the coordinators are, whom to trust there, and this worker's token: from a join file, or from options.

use std::{path::PathBuf, sync::Arc, time::Duration};

use clap::Args;
use tandem_connect::{Address, Dialer, JoinFile, Tuning, dialer::bearer, secret};
use tonic::metadata::{Ascii, MetadataValue};

/// Where none is named.
const DEFAULT_SERVER: &str = "http://127.0.0.1:7077";

#[derive(Args, Clone, Debug)]
pub(crate) struct Access {
    /// The coordinator's address; several, separated by commas, are tried in turn [default: the join file's, else
    /// http://127.0.0.1:7077].
    #[arg(long = "server", env = "TANDEM_SERVER", value_name = "URL", value_delimiter = ',')]
    servers: Vec<Address>,
    /// Coordinators, their certificate and this worker's token, as `tandem token new --join` writes them. It is read again
    /// for each connection.
    #[arg(long, env = "TANDEM_JOIN_FILE", value_name = "FILE")]
    join_file: Option<PathBuf>,
    /// File with this worker's token, where there is no join file. It is read again for each connection.
    #[arg(long, env = "TANDEM_TOKEN_FILE", value_name = "FILE", conflicts_with = "join_file")]
    token_file: Option<PathBuf>,
}

/// Hidden from ranks: they must not be able to reach the coordinator, or its database.
pub(crate) const SECRET_ENVIRONMENT: &[&str] = &[
    "TANDEM_SERVER",
    "TANDEM_SOCKET",
    "TANDEM_HOME",
    "TANDEM_JOIN_FILE",
    "TANDEM_TOKEN_FILE",
    "TANDEM_TOKEN",
    "DATABASE_URL",
    "TANDEM_DATABASE_PASSWORD_FILE",
];

/// One coordinator, ready to be dialled.
pub(crate) struct Way {
    pub(crate) address: Address,
    pub(crate) dialer: Dialer,
    pub(crate) token: Option<MetadataValue<Ascii>>,
}

impl Access {
    /// What holds now; at least one server.
    ///
    /// # Errors
    /// Which file or option cannot be used, and why.
    pub(crate) fn read(&self) -> Result<JoinFile, String> {
        let mut access = match (&self.join_file, &self.token_file) {
            (Some(file), _) => JoinFile::read(file)?,
            (None, Some(file)) => JoinFile { servers: Vec::new(), house: None, token: Some(secret::read_token(file)?) },
            (None, None) => JoinFile { servers: Vec::new(), house: None, token: None },
        };
        if !self.servers.is_empty() {
            access.servers.clone_from(&self.servers);
        }
        if access.servers.is_empty() {
            access.servers.push(DEFAULT_SERVER.parse()?);
        }
        match access.servers.iter().find_map(Address::socket) {
            Some(path) => Err(format!(
                "a worker cannot use the socket {}: there the kernel says who calls, and it knows no workers; name \
                 http://127.0.0.1:PORT",
                path.display()
            )),
            None => Ok(access),
        }
    }
}

/// The way to the coordinator at this place of the list.
///
/// # Errors
/// Why there is none.
pub(crate) fn way(access: &JoinFile, place: usize, connect_within: Duration) -> Result<Way, String> {
    let address = access.servers[place % access.servers.len()].clone();
    // No HTTP/2 keepalive: it would end the stream to a coordinator that hangs. That would look like a lost connection, and
    // the rank would go on without a lease. Heartbeats tell the two apart.
    let tuning = Tuning { connect_within, ping_every: None };
    let dialer = Dialer::new(&address, access.house.as_ref(), tuning, Arc::new(|_, _| Ok(())))?;
    let token = access.token.as_ref().map(|token| bearer(&address, token)).transpose()?;
    Ok(Way { address, dialer, token })
}

/// No core file: it would hold the token. Whoever debugs a rank can raise the limit there again.
pub(crate) fn forbid_core_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = Rlimit { current: Some(0), ..getrlimit(Resource::Core) };
    if let Err(error) = setrlimit(Resource::Core, limit) {
        tracing::warn!(%error, "could not forbid core files: one of this worker would hold its token");
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Command {
        #[command(flatten)]
        access: Access,
    }

    const WITHIN: Duration = Duration::from_secs(1);

    fn access(args: &[&str]) -> Access {
        Command::try_parse_from(["run"].iter().chain(args)).unwrap().access
    }

    fn ways(args: &[&str]) -> Result<Vec<String>, String> {
        let access = access(args).read()?;
        (0..access.servers.len()).map(|place| Ok(way(&access, place, WITHIN)?.address.to_string())).collect()
    }

    #[test]
    fn a_wrong_address_is_refused_before_anything_starts() {
        for wrong in ["/tmp/socket", "ftp://box", "http://box:7077,", ""] {
            let error = Command::try_parse_from(["run", "--server", wrong]).unwrap_err().to_string();
            assert!(error.contains("--server"), "{wrong}: {error}");
        }
        assert!(ways(&["--server", "unix:/tmp/t.sock"]).unwrap_err().contains("socket"));
        assert!(ways(&["--server", "https://box:7077"]).unwrap_err().contains("tandem join"));
    }

    #[test]
    fn options_name_what_a_join_file_does_not() {
        let dir = tempfile::tempdir().unwrap();
        let join = dir.path().join("w.join");
        let servers = vec!["http://127.0.0.1:1".parse().unwrap(), "http://127.0.0.1:2".parse().unwrap()];
        JoinFile { servers, house: None, token: None }.write(&join).unwrap();
        let join = join.to_str().unwrap();
        assert_eq!(ways(&[]).unwrap(), [DEFAULT_SERVER]);
        assert_eq!(ways(&["--join-file", join]).unwrap(), ["http://127.0.0.1:1", "http://127.0.0.1:2"]);
        assert_eq!(ways(&["--join-file", join, "--server", "localhost:3"]).unwrap(), ["http://localhost:3"]);
        assert!(Command::try_parse_from(["run", "--join-file", join, "--token-file", "t"]).is_err());
    }

    #[test]
    fn a_token_that_others_could_read_is_not_used() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("token");
        // Right in its form, and of nobody.
        let token = tandem_domain::access::token::Token::new(tandem_domain::access::TokenRole::Worker, &[1; 38]);
        fs::write(&file, token.reveal()).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        let path = file.to_str().unwrap();
        let plain = access(&["--token-file", path, "--server", "http://10.0.0.1:7077"]).read().unwrap();
        assert!(way(&plain, 0, WITHIN).err().unwrap().contains("plain http"));
        let here = access(&["--token-file", path]).read().unwrap();
        assert!(way(&here, 0, WITHIN).unwrap().token.is_some());
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(access(&["--token-file", path]).read().unwrap_err().contains("chmod 600"));
    }
}
