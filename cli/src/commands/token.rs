//! `tandem token`: what people, programs and workers are known by.

use std::{
    io::{self, IsTerminal},
    path::{Path, PathBuf},
};

use anyhow::Result;
use clap::{Args, Subcommand};
use tandem_connect::{JoinFile, secret};
use tandem_domain::access::{TokenRole, name, token::TokenId};
use tandem_durable::Mode;
use tandem_proto::v1::{ListTokensRequest, NewTokenRequest, NewTokenResponse, RevokeTokenRequest, WhoAmIRequest};

use crate::{
    client::Client,
    core_files,
    exit::{Exit, Failure},
    expiry, files, json,
    output::Output,
    printable::line,
    render::people,
    time, way_for_workers,
};

/// Make, list and revoke tokens
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tandem token new laptop                 your own, for another machine
  tandem token new laptop --user ann      for ann (admins)
  tandem token new ci --role submitter --expires 90d --out ci.token
  tandem token list
  tandem token revoke q_R7s-0A

All that a worker needs (admins):
  tandem token new gpu-0 --role worker --join --out gpu-0.join")]
pub(crate) struct Token {
    #[command(subcommand)]
    command: TokenCommand,
}

#[derive(Debug, Subcommand)]
enum TokenCommand {
    New(New),
    List(List),
    Revoke(Revoke),
}

/// Make a token. It is shown once: only its checksum is stored
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tandem token new laptop --expires 90d
  tandem token new gpu-0 --role worker --join --out gpu-0.join")]
struct New {
    /// What it is for
    #[arg(value_parser = |text: &str| name::check("a token", text).map(|()| text.to_owned()))]
    name: String,
    /// reader, submitter, admin, worker or scrape [default: the role of the person]
    #[arg(long)]
    role: Option<TokenRole>,
    /// Whose it is [default: yours]
    #[arg(long, value_name = "PERSON")]
    user: Option<String>,
    /// For how long it is good: 12h, 90d [default: until it is revoked]
    #[arg(long, value_name = "TIME", value_parser = expiry::parse)]
    expires: Option<u64>,
    /// Write it to this file, of mode 600, and do not show it
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// With --out: a join file, which says where the coordinators are, too
    #[arg(long, requires = "out")]
    join: bool,
    /// With --out: replace a file that is there
    #[arg(long, requires = "out")]
    force: bool,
}

/// List your tokens: what they are for, and whether they are good; never the tokens themselves
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tandem token list --all")]
struct List {
    /// Everybody's, and those of workers (admins)
    #[arg(long)]
    all: bool,
}

/// End a token. Its open streams end within a second
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tandem token revoke q_R7s-0A")]
struct Revoke {
    /// As `tandem token list` shows it
    // An id is random text of an alphabet with `-`, so it may begin as an option does.
    #[arg(allow_hyphen_values = true, value_parser = |text: &str| TokenId::parse(text).map(|id| id.to_string()))]
    id: String,
}

/// How the name of an account begins that is linked to no person.
const ACCOUNT: &str = "login:";
const NONE: &str = "no tokens; make one with: tandem token new NAME";
const NONE_AT_ALL: &str = "nobody here has a token, and no worker; make one with: tandem token new NAME --user PERSON";
const NONE_FOR_ADMINS: &str = "no tokens of yours: you are known by your account of this machine, which has none and needs none \
    here; those of everybody: tandem token list --all";
const NONE_FOR_ACCOUNTS: &str = "no tokens: you are known by your account of this machine, which has none; an admin makes a \
    person of it with: tandem user add NAME --role ROLE --login ACCOUNT";

impl Token {
    pub(crate) async fn run(self, client: &Client, output: &Output) -> Result<Exit> {
        match self.command {
            TokenCommand::New(new) => new.run(client, output).await,
            TokenCommand::List(List { all }) => list(all, client, output).await,
            TokenCommand::Revoke(Revoke { id }) => revoke(id, client, output).await,
        }
    }
}

impl New {
    async fn run(self, client: &Client, output: &Output) -> Result<Exit> {
        core_files::forbid();
        // First: a token that cannot be written down is lost.
        if let Some(file) = &self.out {
            files::check_free(file, self.force)?;
        }
        let way = if self.join { Some(way_for_workers::find(client.target()).await?) } else { None };
        let request = NewTokenRequest {
            name: self.name,
            role: self.role.map(|role| role.to_string()).unwrap_or_default(),
            person: self.user.unwrap_or_default(),
            expires_in_seconds: self.expires,
        };
        let tried = format!("make the token {}", request.name);
        // Asked twice, it makes two; the list shows that one of them was never used.
        let answer = client.ask(&tried, async |on| on.people().new_token(request.clone()).await).await?;
        if let Some(file) = &self.out {
            keep(&answer.secret, way, file)?;
        }
        report(&answer, self.out.as_deref(), output)
    }
}

fn keep(text: &str, way: Option<JoinFile>, file: &Path) -> Result<()> {
    let written = match way {
        Some(way) => {
            let token = secret::parse_token(text);
            let token =
                token.map_err(|why| Failure::error(Exit::Internal, format!("the coordinator sent no token: {why}")))?;
            JoinFile { token: Some(token), ..way }.write(file)
        }
        None => tandem_durable::replace(file, format!("{text}\n").as_bytes(), Mode::Private),
    };
    written.map_err(|error| {
        let revoke = "the token was made, and is lost: revoke it (tandem token list)";
        Failure::error(Exit::CannotCreate, format!("cannot write {}: {error}; {revoke}", file.display()))
    })
}

fn report(answer: &NewTokenResponse, file: Option<&Path>, output: &Output) -> Result<Exit> {
    let id = answer.token.as_ref().map(|token| token.id.as_str()).unwrap_or_default();
    match file {
        _ if output.is_json() => {
            let secret = file.is_none().then_some(answer.secret.as_str());
            let file = file.map(|file| file.display().to_string());
            output.document(&json::NewToken { token: answer.token.as_ref(), secret, file })?;
        }
        Some(file) => output.note(&format!("wrote the token {} to {}", line(id), file.display())),
        None => {
            if io::stdout().is_terminal() {
                output
                    .note("this is the only time that it is shown; whoever has it is you, until: tandem token revoke");
            }
            output.text(&line(&answer.secret))?;
        }
    }
    Ok(Exit::Ok)
}

async fn list(all: bool, client: &Client, output: &Output) -> Result<Exit> {
    let request = ListTokensRequest { all };
    let answer = client.ask("list tokens", async |on| on.people().list_tokens(request).await).await?;
    if output.is_json() {
        output.document(&answer)?;
    } else if answer.tokens.is_empty() {
        let who = client.ask("tell who you are", async |on| on.people().who_am_i(WhoAmIRequest {}).await).await?;
        output.note(match (who.name.starts_with(ACCOUNT), who.role.as_str()) {
            _ if all => NONE_AT_ALL,
            (true, "admin") => NONE_FOR_ADMINS,
            (true, _) => NONE_FOR_ACCOUNTS,
            (false, _) => NONE,
        });
    } else {
        output.text(&people::tokens(&answer.tokens, output.style(), time::now()))?;
    }
    Ok(Exit::Ok)
}

async fn revoke(id: String, client: &Client, output: &Output) -> Result<Exit> {
    let request = RevokeTokenRequest { id: id.clone() };
    let tried = format!("revoke the token {id}");
    let answer = client.ask(&tried, async |on| on.people().revoke_token(request.clone()).await).await?;
    if output.is_json() {
        output.document(&json::Revoked { token: answer.token.as_ref() })?;
    } else {
        output.note(&format!("the token {id} is revoked"));
    }
    Ok(Exit::Ok)
}
