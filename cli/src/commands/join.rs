//! `tandem join`: whom to trust at an address, and a token for there, kept under a name.

use std::path::{Path, PathBuf};

use anyhow::{Error, Result};
use clap::Args;
use tandem_connect::{
    Address, Fingerprint, House, JoinFile,
    look::look,
    pin::{pin, root_of},
    secret,
};
use tandem_domain::access::{TokenRole, token::Token};
use tandem_proto::v1::{NewTokenRequest, WhoAmIRequest};

use crate::{
    client::{Client, in_time},
    config,
    contexts::{self, Contexts},
    core_files,
    exit::{Exit, Failure},
    files, json,
    output::Output,
    printable::line,
    prompt,
    refusal::Refusal,
    target::servers,
};

/// Join coordinators: compare their certificate, give your token, keep both
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tandem join https://box:7077 FINGERPRINT
  tandem join https://box:7077,https://spare:7077 FINGERPRINT --name lab
  pass show tandem | tandem join https://box:7077 FINGERPRINT
For a worker:
  tandem join https://box:7077 FINGERPRINT --token-file gpu.token --out gpu.join

The coordinator logs the line with its fingerprint when it starts; its admin
makes the token, by `tandem token new`. The token is typed, or read from stdin
or --token-file, and sent only to who has shown the certificate of that
fingerprint.")]
pub(crate) struct Join {
    /// The coordinator, or several of one database, as a,b
    url: String,
    /// SHA-256 of the certificate to trust. Without it, at a terminal, you are shown the one that is there
    fingerprint: Option<Fingerprint>,
    /// What to call it [default: the host's name]
    #[arg(long, value_name = "NAME", conflicts_with = "out")]
    name: Option<String>,
    /// Write a join file for a worker, and keep nothing else
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// With --out: replace a file that is there
    #[arg(long, requires = "out")]
    force: bool,
}

impl Join {
    pub(crate) async fn run(self, token_file: Option<&Path>, output: &Output) -> Result<Exit> {
        core_files::forbid();
        // The same one twice would be asked twice.
        let mut seen = Vec::new();
        let mut servers = servers(&self.url)?;
        servers.retain(|server| {
            !seen.contains(server) && {
                seen.push(server.clone());
                true
            }
        });
        // What can be refused is, before a person goes to get a token.
        let place = match self.out {
            Some(file) => {
                files::check_free(&file, self.force)?;
                Place::File(file)
            }
            None => Place::context(self.name, &servers)?,
        };
        let house = house(&servers, self.fingerprint).await?;
        let token = token(token_file).await?;
        if let Place::Context { .. } = place {
            check_is_persons(&token, &self.url)?;
        }
        let joined = JoinFile { servers, house, token: Some(token) };
        match place {
            Place::File(file) => write(&joined, &file, output),
            Place::Context { contexts, name } => keep(joined, &contexts, name, output).await,
        }
    }
}

/// Where it is kept.
enum Place {
    File(PathBuf),
    Context { contexts: Contexts, name: String },
}

impl Place {
    fn context(name: Option<String>, servers: &[Address]) -> Result<Self> {
        let contexts = Contexts::in_dir(&config::needed_dir()?);
        let is_given = name.is_some();
        let host = || servers.first().and_then(Address::host_port).map(|at| at.host.clone());
        let name = name.or_else(host).unwrap_or_default();
        contexts::check(&name).map_err(|why| {
            if is_given { why } else { Failure::error(Exit::Usage, format!("{why}; --name says what to call it")) }
        })?;
        // The same house may be joined anew, with another token or certificate; another house must not take its place.
        if contexts.has(&name) {
            let before = contexts.read(&name)?.servers;
            if !before.iter().any(|server| servers.contains(server)) {
                let before: Vec<String> = before.iter().map(ToString::to_string).collect();
                return Err(Failure::error(
                    Exit::CannotCreate,
                    format!(
                        "the context {name} is there already, for {}: choose another name with --name, or remove it with \
                         tandem context remove {name}",
                        before.join(", ")
                    ),
                ));
            }
        }
        Ok(Self::Context { contexts, name })
    }
}

/// Whom to trust there: nobody but this machine itself without TLS.
async fn house(servers: &[Address], fingerprint: Option<Fingerprint>) -> Result<Option<House>> {
    let is_tls = |server: &Address| matches!(server, Address::Https(_));
    if servers.iter().any(is_tls) && !servers.iter().all(is_tls) {
        return Err(usage(
            "some of these addresses are https:// and some are not: join them apart (one without a scheme is plain http on this \
             machine, and https beyond it)"
                .to_owned(),
        ));
    }
    let mut house: Option<House> = None;
    let mut fingerprint = fingerprint;
    for server in servers {
        let at = match server {
            Address::Https(at) => at,
            Address::Http(at) if at.is_loopback() && fingerprint.is_none() => continue,
            Address::Http(at) if at.is_loopback() => {
                return Err(usage(format!(
                    "{server} is plain http, where no certificate shows whose port it is, and a fingerprint was given: where \
                     the coordinator there speaks TLS, name it as https://{at}; else leave the fingerprint out"
                )));
            }
            Address::Http(_) => return Err(usage(server.check_may_carry_token().err().unwrap_or_default())),
            Address::Unix(_) => {
                return Err(usage(format!(
                    "a socket needs no join: the kernel says there who you are, without a token. Use it at once: tandem --server \
                     {server} whoami"
                )));
            }
        };
        let chain = look(server).await.map_err(|why| Failure::error(Exit::Unreachable, why))?;
        let fingerprint = match fingerprint {
            Some(fingerprint) => fingerprint,
            None => *fingerprint.insert(on_first_use(server, root_of(&chain)).await?),
        };
        let found = pin(at, &chain, fingerprint).map_err(|untrusted| not_allowed(untrusted.to_string()))?;
        match &house {
            Some(first) if *first != found => {
                return Err(not_allowed(format!(
                    "{server} is known by another name than the first ({} and {}): join each by itself",
                    found.server_name(),
                    first.server_name()
                )));
            }
            _ => house = Some(found),
        }
    }
    Ok(house)
}

/// Trust on first use, by a person alone.
async fn on_first_use(server: &Address, shown: Option<Fingerprint>) -> Result<Fingerprint> {
    let Some(shown) = shown else { return Err(not_allowed(format!("{server} presents no certificate"))) };
    if !prompt::is_terminal() {
        return Err(usage(format!(
            "no fingerprint was given, and there is no terminal to ask at: tandem join {server} FINGERPRINT; the coordinator \
             logs it when it starts"
        )));
    }
    eprintln!("{server} shows the fingerprint\n  {shown}\nThe coordinator logs its own when it starts.");
    if prompt::confirms("Is it the same?").await? {
        return Ok(shown);
    }
    Err(not_allowed("not joined; nothing was sent".to_owned()))
}

async fn token(file: Option<&Path>) -> Result<Token> {
    match file.filter(|file| !file.as_os_str().is_empty()) {
        Some(file) => secret::read_token(file).map_err(|why| Failure::error(Exit::Config, why)),
        None => prompt::token().await,
    }
}

/// Said here already: the coordinator would only say that such a token may not ask who it is.
fn check_is_persons(token: &Token, url: &str) -> Result<()> {
    match token.reveal().chars().nth("tdm_".len()) {
        Some(letter) if letter == TokenRole::Worker.letter() => Err(usage(format!(
            "this is a worker's token, and a context is for people; nothing was sent. For the worker: tandem join {url} \
             FINGERPRINT --token-file FILE --out FILE makes a join file of it"
        ))),
        Some(letter) if letter == TokenRole::Scrape.letter() => Err(usage(
            "this token only reads metrics, and a context is for people; nothing was sent. It goes into the settings of what \
             scrapes /metrics"
                .to_owned(),
        )),
        _ => Ok(()),
    }
}

/// Asks nothing: a worker's token may not ask who it is.
fn write(joined: &JoinFile, file: &Path, output: &Output) -> Result<Exit> {
    joined
        .write(file)
        .map_err(|error| Failure::error(Exit::CannotCreate, format!("cannot write {}: {error}", file.display())))?;
    if output.is_json() {
        output.document(&json::Written { file: file.display().to_string() })?;
    } else {
        output.note(&format!("wrote {0}; start the worker with: tandem-worker run --join-file {0}", file.display()));
    }
    Ok(Exit::Ok)
}

async fn keep(mut joined: JoinFile, contexts: &Contexts, name: String, output: &Output) -> Result<Exit> {
    let client = Client::new(joined.clone().into())?;
    let answer = client.ask("join", async |on| on.people().who_am_i(WhoAmIRequest {}).await).await?;
    if answer.once {
        joined.token = Some(exchanged(&client, &name).await?);
    }
    let before = if contexts.has(&name) { replaced(&contexts.read(&name)?, &joined, &answer.name).await } else { None };
    contexts.write(&name, &joined)?;
    contexts.make_current(&name)?;
    if output.is_json() {
        let servers = joined.servers.iter().map(ToString::to_string).collect();
        output.document(&json::Joined { context: &name, servers, name: &answer.name, role: &answer.role })?;
    } else {
        output.note(&format!(
            "joined as {} ({}); the context {name} is the current one now: commands ask {}",
            line(&answer.name),
            line(&answer.role),
            client.server()
        ));
        before.iter().for_each(|note| output.note(note));
    }
    Ok(Exit::Ok)
}

/// Says so where the context was somebody else's. A token that is no more good says nothing of its person.
async fn replaced(before: &JoinFile, joined: &JoinFile, now: &str) -> Option<String> {
    let token = before.token.as_ref()?;
    // It is sent to nobody but who had it before.
    if before.house != joined.house || Some(token) == joined.token.as_ref() {
        return None;
    }
    let servers = joined.servers.iter().filter(|server| before.servers.contains(server)).cloned().collect();
    let client = Client::new(JoinFile { servers, ..before.clone() }.into()).ok()?;
    let was = client.try_each(async |on| on.people().who_am_i(WhoAmIRequest {}).await).await.ok()?;
    let (was, now) = (line(&was.name), line(now));
    (was != now).then(|| format!("this replaces {was}'s token by {now}'s; {was}'s stays good until it is revoked"))
}

/// Another token in place of one that is good once.
async fn exchanged(client: &Client, context: &str) -> Result<Token> {
    let request = NewTokenRequest { name: context.to_owned(), ..NewTokenRequest::default() };
    // Asked once: the second time it would find its token used up.
    let answer = in_time(client.services().people().new_token(request)).await;
    let answer = answer.map_err(|status| {
        let mut refusal = Refusal::default();
        refusal.add(client.server(), status);
        refusal.error("exchange the token")
    })?;
    let secret = answer.into_inner().secret;
    Token::parse(&secret)
        .map_err(|wrong| Failure::error(Exit::Internal, format!("the coordinator made no token: {wrong}")))
}

fn usage(why: String) -> Error {
    Failure::error(Exit::Usage, why)
}

fn not_allowed(why: String) -> Error {
    Failure::error(Exit::NotAllowed, why)
}
