//! `tandem user`: who may use this house, and in which role.

use anyhow::Result;
use clap::{Args, Subcommand};
use tandem_domain::access::{PersonRole, name};
use tandem_proto::v1::{ListPeopleRequest, SetPersonRequest};

use crate::{client::Client, exit::Exit, output::Output, printable::line, render::people, time};

/// Add people, change what they may do, and list them (for admins)
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tandem user add ann --role submitter --login ann
  tandem user role ann admin
  tandem user disable ann      ends her streams, and her jobs at a checkpoint
  tandem user list

reader: reads and fetches everything. submitter: submits, and cancels its own.
admin: everything.")]
pub(crate) struct User {
    #[command(subcommand)]
    command: UserCommand,
}

#[derive(Debug, Subcommand)]
enum UserCommand {
    Add(Add),
    List(List),
    Role(Role),
    Link(Link),
    Unlink(Named),
    Disable(Disable),
    Enable(Enable),
}

/// Add a person; `tandem token new` then makes a token for it
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tandem user add ann --role submitter --login ann")]
struct Add {
    /// Name of the person
    #[arg(value_parser = person)]
    name: String,
    /// reader, submitter or admin
    #[arg(long)]
    role: PersonRole,
    /// The account of the coordinator's machine that is this person, by the socket
    #[arg(long, value_name = "ACCOUNT")]
    login: Option<String>,
}

/// List them
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tandem user list --json | jq -r '.people[].name'")]
struct List {}

/// Change what a person may do; at once, for open streams too
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tandem user role ann admin")]
struct Role {
    /// Name of the person
    #[arg(value_parser = person)]
    name: String,
    /// reader, submitter or admin
    role: PersonRole,
}

/// Say which account of the coordinator's machine is this person
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tandem user link ann ann.smith")]
struct Link {
    /// Name of the person
    #[arg(value_parser = person)]
    name: String,
    /// The account, by its name there
    account: String,
}

/// Say that no account of the coordinator's machine is this person any more
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tandem user unlink ann")]
struct Named {
    /// Name of the person
    #[arg(value_parser = person)]
    name: String,
}

/// End what a person may do, its streams, and its jobs at a checkpoint
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tandem user disable ann")]
struct Disable {
    /// Name of the person
    #[arg(value_parser = person)]
    name: String,
}

/// Let a disabled person in again, by the tokens that it had
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tandem user enable ann")]
struct Enable {
    /// Name of the person
    #[arg(value_parser = person)]
    name: String,
}

fn person(text: &str) -> Result<String, String> {
    name::check("a person", text).map(|()| text.to_owned())
}

impl User {
    pub(crate) async fn run(self, client: &Client, output: &Output) -> Result<Exit> {
        let change = |name: String| SetPersonRequest { name, ..SetPersonRequest::default() };
        let request = match self.command {
            UserCommand::List(List {}) => return list(client, output).await,
            UserCommand::Add(Add { name, role, login }) => {
                SetPersonRequest { create: true, role: Some(role.to_string()), login, ..change(name) }
            }
            UserCommand::Role(Role { name, role }) => SetPersonRequest { role: Some(role.to_string()), ..change(name) },
            UserCommand::Link(Link { name, account }) => SetPersonRequest { login: Some(account), ..change(name) },
            UserCommand::Unlink(Named { name }) => SetPersonRequest { login: Some(String::new()), ..change(name) },
            UserCommand::Disable(Disable { name }) => SetPersonRequest { disabled: Some(true), ..change(name) },
            UserCommand::Enable(Enable { name }) => SetPersonRequest { disabled: Some(false), ..change(name) },
        };
        set(request, client, output).await
    }
}

async fn list(client: &Client, output: &Output) -> Result<Exit> {
    let answer = client.ask("list people", async |on| on.people().list_people(ListPeopleRequest {}).await).await?;
    if output.is_json() {
        output.document(&answer)?;
    } else if answer.people.is_empty() {
        output.note("nobody yet; add somebody with: tandem user add NAME --role submitter");
    } else {
        output.text(&people::people(&answer.people, output.style(), time::now()))?;
    }
    Ok(Exit::Ok)
}

async fn set(request: SetPersonRequest, client: &Client, output: &Output) -> Result<Exit> {
    let tried = format!("{} {}", if request.create { "add" } else { "change" }, request.name);
    let answer = client.ask(&tried, async |on| on.people().set_person(request.clone()).await).await?;
    if output.is_json() {
        output.document(&answer)?;
        return Ok(Exit::Ok);
    }
    if let Some(person) = &answer.person {
        output.text(&people::people(std::slice::from_ref(person), output.style(), time::now()))?;
        if request.create {
            output.note(&format!("a token for {0}: tandem token new laptop --user {0}", line(&person.name)));
        }
    }
    if answer.cancelled > 0 {
        output.note(&format!("cancelled {} of its jobs, which nobody else wants", answer.cancelled));
    }
    Ok(Exit::Ok)
}
