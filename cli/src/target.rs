//! The coordinators that a command talks to: looks at options, files and sockets, and has `choice` choose.

use std::{
    env,
    os::unix::fs::FileTypeExt,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result};
use tandem_connect::{Address, House, JoinFile, secret};
use tandem_domain::access::token::Token;
use tokio::{net::UnixStream, time::timeout};

use crate::{
    choice::{Choice, DEFAULT_SERVER, Found, Running, choose},
    config::{self, ConfigFile},
    contexts::Contexts,
    exit::{Exit, Failure},
    home::{self, Home},
    output::Output,
    up::{lock, state::UpState},
};

/// Where a coordinator of this machine is reached by everybody, unless TANDEM_SOCKET names one place instead.
const SOCKETS: [&str; 2] = ["/run/tandem/tandem.sock", "/tmp/tandem.sock"];
const SOCKET_ANSWERS_WITHIN: Duration = Duration::from_secs(1);

/// What the command line and the environment say. An empty value counts as none.
#[derive(Clone, Debug, Default)]
pub(crate) struct Named {
    pub(crate) server: Option<String>,
    pub(crate) context: Option<String>,
    pub(crate) token_file: Option<PathBuf>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// They serve one database, and are tried from left to right.
    pub(crate) servers: Vec<Address>,
    pub(crate) house: Option<House>,
    pub(crate) token: Option<Token>,
}

impl From<JoinFile> for Target {
    fn from(JoinFile { servers, house, token }: JoinFile) -> Self {
        Self { servers, house, token }
    }
}

impl Target {
    /// One of this machine that is known by its socket.
    pub(crate) fn of(server: Address) -> Self {
        Self { servers: vec![server], house: None, token: None }
    }

    pub(crate) async fn resolve(named: Named, output: &Output) -> Result<Self> {
        let dir = config::dir();
        let contexts = dir.as_deref().map(Contexts::in_dir);
        let file = dir.as_deref().map(config::read).transpose()?.unwrap_or_default();
        let token = given_token(named.token_file.as_deref())?;
        let choice = chosen(&named, contexts.as_ref(), &file, output).await?;
        let mut target = open(choice, contexts.as_ref(), &file)?;
        if token.is_some() {
            target.token = token;
        }
        Ok(target)
    }
}

/// The token of the option or the environment, which wins over all others.
fn given_token(file: Option<&Path>) -> Result<Option<Token>> {
    if let Some(file) = file.filter(|file| !file.as_os_str().is_empty()) {
        return secret::read_token(file).map(Some).map_err(|why| Failure::error(Exit::Config, why));
    }
    let Some(text) = env::var_os("TANDEM_TOKEN").filter(|text| !text.is_empty()) else { return Ok(None) };
    let token = secret::parse_token(&text.to_string_lossy());
    token.map(Some).map_err(|why| Failure::error(Exit::Config, format!("TANDEM_TOKEN holds no token: {why}")))
}

async fn chosen(named: &Named, contexts: Option<&Contexts>, file: &ConfigFile, output: &Output) -> Result<Choice> {
    let (home, home_was_chosen) = home::from_environment();
    let mut found = Found {
        server: named.server.clone(),
        context: named.context.clone(),
        running: running_here(home),
        home_was_chosen,
        current_context: contexts.map(Contexts::current).transpose()?.flatten(),
        sockets: sockets(env::var_os("TANDEM_SOCKET").map(PathBuf::from)),
        configured: file.server.clone(),
    };
    loop {
        let (choice, note) = choose(&found).map_err(|why| Failure::error(Exit::Config, why))?;
        if let Choice::Socket(path) = &choice
            && !answers(path).await
        {
            found.sockets.retain(|other| other != path);
            continue;
        }
        note.iter().for_each(|note| output.note(note));
        return Ok(choice);
    }
}

/// The coordinator of this user's running `tandem up`. A file left by a killed `up` does not count.
fn running_here(home: Option<Home>) -> Running {
    let Some(home) = home else { return Running::Nothing("no home is set".to_owned()) };
    let dir = home.root().display();
    match running_in(&home) {
        Ok(Some(server)) => Running::Here(server),
        Ok(None) => Running::Nothing(format!("nothing runs in {dir}")),
        Err(error) => Running::Unclear(format!("cannot tell which coordinator runs in {dir}: {error:#}")),
    }
}

fn running_in(home: &Home) -> Result<Option<String>> {
    if lock::holder(home)?.is_none() {
        return Ok(None);
    }
    let state = UpState::read(home)?.context("`tandem up` is not ready yet")?;
    Ok(Some(state.reached_at()))
}

fn sockets(instead: Option<PathBuf>) -> Vec<PathBuf> {
    let all = match instead.filter(|path| !path.as_os_str().is_empty()) {
        Some(path) => vec![path],
        None => SOCKETS.map(PathBuf::from).to_vec(),
    };
    let is_socket = |path: &PathBuf| path.metadata().is_ok_and(|meta| meta.file_type().is_socket());
    all.into_iter().filter(is_socket).collect()
}

/// Whether somebody listens there. Nothing is sent.
pub(crate) async fn answers(path: &Path) -> bool {
    matches!(timeout(SOCKET_ANSWERS_WITHIN, UnixStream::connect(path)).await, Ok(Ok(_)))
}

fn open(choice: Choice, contexts: Option<&Contexts>, file: &ConfigFile) -> Result<Target> {
    let of_context = |name: &str| contexts.map_or_else(|| Err(config::no_dir()), |contexts| contexts.read(name));
    // It goes to the server that it was written down for, or, where none was, to the one that is named.
    let own_token = |is_configured: bool| file.token.clone().filter(|_| is_configured || file.server.is_none());
    match choice {
        Choice::Server { server, context: Some(context) } => {
            Ok(Target { servers: servers(&server)?, ..of_context(&context)?.into() })
        }
        Choice::Server { server, context: None } => {
            let is_configured = file.server.as_ref() == Some(&server);
            by_address(&server, contexts, own_token(is_configured))
        }
        Choice::Context(name) => Ok(of_context(&name)?.into()),
        Choice::Running(server) => Ok(Target { servers: servers(&server)?, house: None, token: None }),
        Choice::Socket(path) => Ok(Target::of(Address::Unix(path))),
        Choice::Configured(server) => by_address(&server, contexts, own_token(true)),
        Choice::Default => by_address(DEFAULT_SERVER, contexts, own_token(false)),
    }
}

/// With what a context knows of these servers, if one lists them.
fn by_address(list: &str, contexts: Option<&Contexts>, token: Option<Token>) -> Result<Target> {
    let servers = servers(list)?;
    let joined = contexts.map(|contexts| contexts.listing(&servers)).transpose()?.flatten();
    let (house, joined_token) = joined.map_or((None, None), |joined| (joined.house, joined.token));
    Ok(Target { servers, house, token: joined_token.or(token) })
}

/// The addresses of a list: at least one.
pub(crate) fn servers(list: &str) -> Result<Vec<Address>> {
    let each = list.trim_end_matches(',').split(',').map(str::parse);
    each.collect::<Result<_, String>>().map_err(|why| Failure::error(Exit::Config, why))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tandem_domain::access::{PersonRole, TokenRole, token::RANDOM_BYTES};

    use super::*;

    fn token(byte: u8) -> Token {
        Token::new(TokenRole::Person(PersonRole::Submitter), &[byte; RANDOM_BYTES])
    }

    fn named(server: &str) -> Choice {
        Choice::Server { server: server.to_owned(), context: None }
    }

    #[test]
    fn a_list_has_one_address_at_least() {
        let shown = |list| servers(list).unwrap().iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(shown("localhost:1, box:2,"), ["http://localhost:1", "https://box:2"]);
        assert!(servers(",").is_err() && servers("a:1,,b:2").is_err());
    }

    #[test]
    fn what_cannot_be_read_of_a_running_stack_is_unclear() {
        let dir = tempfile::tempdir().unwrap();
        let home = || Home::at(Some(dir.path().to_owned())).unwrap();
        assert!(matches!(running_here(Some(home())), Running::Nothing(_)));
        let _lock = lock::Lock::take(&home()).unwrap();
        fs::write(home().state(), "{").unwrap();
        assert!(matches!(running_here(Some(home())), Running::Unclear(why) if why.contains("damaged")));
        assert!(matches!(running_here(None), Running::Nothing(_)));
    }

    #[test]
    fn a_context_lends_what_it_knows_of_a_server() {
        let dir = tempfile::tempdir().unwrap();
        let contexts = Contexts::in_dir(dir.path());
        let server = "http://127.0.0.1:1";
        let joined = JoinFile { servers: servers(server).unwrap(), house: None, token: Some(token(1)) };
        contexts.write("box", &joined).unwrap();
        let file = ConfigFile::default();
        assert_eq!(open(named(server), Some(&contexts), &file).unwrap(), joined.clone().into());
        assert_eq!(open(named("127.0.0.1:2"), Some(&contexts), &file).unwrap().token, None);
        // A tunnel: another address of the same house.
        let tunnel = Choice::Server { server: "127.0.0.1:2".to_owned(), context: Some("box".to_owned()) };
        let tunnel = open(tunnel, Some(&contexts), &file).unwrap();
        assert_eq!((tunnel.servers, tunnel.token), (servers("127.0.0.1:2").unwrap(), Some(token(1))));
        assert!(open(Choice::Context("other".to_owned()), Some(&contexts), &file).is_err());
    }

    #[test]
    fn the_config_files_token_goes_only_to_whom_it_is_meant_for() {
        let file = ConfigFile { server: Some("https://box:1".to_owned()), token: Some(token(2)) };
        let token_of = |choice| open(choice, None, &file).unwrap().token;
        assert_eq!(token_of(Choice::Configured("https://box:1".to_owned())), Some(token(2)));
        assert_eq!(token_of(named("https://box:1")), Some(token(2)));
        assert_eq!(token_of(named("https://other:1")), None);
        assert_eq!(token_of(Choice::Socket("/tmp/t.sock".into())), None);
        assert_eq!(token_of(Choice::Default), None);
        let file = ConfigFile { server: None, ..file };
        assert_eq!(open(named("https://other:1"), None, &file).unwrap().token, Some(token(2)));
    }
}
