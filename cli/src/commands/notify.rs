//! `tandem notify`: be told what has happened.

use anyhow::Result;
use clap::{Args, Subcommand, ValueEnum};
use tandem_domain::telling::{
    address::{Webhook, check_mail},
    wants::Wants,
};
use tandem_proto::v1::{ListNotifyRequest, RemoveNotifyRequest, SetNotifyRequest, TestNotifyRequest};

use crate::{
    client::Client,
    exit::{Exit, Failure},
    output::Output,
    printable::line,
    render::notify,
    time,
};

/// Be told, by a webhook or by mail, when an experiment has ended, waits, or a device is lost
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tandem notify add mail ann@example.org
  tandem notify add webhook https://ntfy.lab/t --on failed,waits:1h
  tandem notify test 3f2a9c01
  tandem notify list

finished: an experiment has ended, and all of it succeeded. failed: it has
ended, and some of it has not. job-failed: each job that fails, at once.
waits:1h: nothing of an experiment has moved for so long. device-lost: a worker
is lost, or gets no more jobs. An experiment is one message, with its counts.

A webhook gets JSON, and a header
  Tandem-Signature: t=SECONDS,v1=HEX
where HEX is HMAC-SHA256, by the secret that `add` shows once, over SECONDS, a
dot and the body. Its field `id` is the same each time that it is sent: it is
tried again for a day until it is answered by 2xx, and no redirect is followed.")]
pub(crate) struct Notify {
    #[command(subcommand)]
    command: NotifyCommand,
}

#[derive(Debug, Subcommand)]
enum NotifyCommand {
    Add(Add),
    List(List),
    Remove(Remove),
    Test(Test),
}

/// Add where you want to be told, or change what you are told there
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tandem notify add mail ann@example.org --on finished,failed,device-lost
  tandem notify add webhook https://ntfy.lab/t --on failed,waits:30m")]
struct Add {
    /// webhook or mail
    kind: Kind,
    /// A URL, or an address of mail
    address: String,
    /// Some of finished, failed, job-failed, waits:TIME, device-lost
    #[arg(long, default_value = "finished,failed", value_parser = wants, value_name = "WHAT")]
    on: Wants,
    /// Of everybody's experiments, not only yours (for admins)
    #[arg(long)]
    all: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    Webhook,
    Mail,
}

/// List where you are told, of what, and how the last message went
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tandem notify list --json | jq -r '.targets[].address'")]
struct List {}

/// Be told no more there, and drop what waits to be sent
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tandem notify remove 3f2a9c01")]
struct Remove {
    /// Its id, as `list` shows it
    id: String,
}

/// Have a message sent that says it is a test, and see how that goes
#[derive(Debug, Args)]
#[command(after_help = "\
Exit codes: 0 it was sent; 75 it was not, and is tried again; 78 it never will
be.

Example:
  tandem notify test 3f2a9c01")]
struct Test {
    /// Its id, as `list` shows it
    id: String,
}

fn wants(text: &str) -> Result<Wants, String> {
    text.parse()
}

impl Notify {
    pub(crate) async fn run(self, client: &Client, output: &Output) -> Result<Exit> {
        match self.command {
            NotifyCommand::Add(add) => add.run(client, output).await,
            NotifyCommand::List(List {}) => list(client, output).await,
            NotifyCommand::Remove(Remove { id }) => remove(id, client, output).await,
            NotifyCommand::Test(Test { id }) => test(id, client, output).await,
        }
    }
}

impl Add {
    async fn run(self, client: &Client, output: &Output) -> Result<Exit> {
        let (kind, checked) = match self.kind {
            Kind::Webhook => ("webhook", Webhook::parse(&self.address).map(drop)),
            Kind::Mail => ("mail", check_mail(&self.address)),
        };
        checked.map_err(|why| Failure::error(Exit::Usage, why))?;
        let (address, on) = (self.address, self.on.to_string());
        let request = SetNotifyRequest { kind: kind.to_owned(), address, on, all: self.all };
        let answer = client.ask("add where you are told", async |on| on.notify().set(request.clone()).await).await?;
        if output.is_json() {
            output.document(&answer)?;
            return Ok(Exit::Ok);
        }
        let id = answer.target.as_ref().map(|target| line(&target.id).into_owned()).unwrap_or_default();
        if answer.secret.is_empty() {
            output.note(&format!("you are told; try it: tandem notify test {id}"));
        } else {
            output.note(&format!(
                "you are told; try it: tandem notify test {id}. What signs its messages is shown this once:"
            ));
            output.text(&line(&answer.secret))?;
        }
        Ok(Exit::Ok)
    }
}

async fn list(client: &Client, output: &Output) -> Result<Exit> {
    let tried = "list where you are told";
    let answer = client.ask(tried, async |on| on.notify().list(ListNotifyRequest {}).await).await?;
    if output.is_json() {
        output.document(&answer)?;
    } else if answer.targets.is_empty() {
        output.note("you are told nothing yet; begin with: tandem notify add mail ADDRESS");
    } else {
        output.text(&notify::targets(&answer.targets, output.style(), time::now()))?;
    }
    Ok(Exit::Ok)
}

async fn remove(id: String, client: &Client, output: &Output) -> Result<Exit> {
    let request = RemoveNotifyRequest { id: id.clone() };
    let answer = client.ask(&format!("remove {id}"), async |on| on.notify().remove(request.clone()).await).await?;
    if output.is_json() {
        output.document(&answer)?;
    } else {
        let address = answer.target.map(|target| target.address).unwrap_or_default();
        output.note(&format!("nothing more is told to {}", line(&address)));
    }
    Ok(Exit::Ok)
}

async fn test(id: String, client: &Client, output: &Output) -> Result<Exit> {
    let request = TestNotifyRequest { id: id.clone() };
    let answer = client.ask(&format!("test {id}"), async |on| on.notify().test(request.clone()).await).await?;
    let (exit, words) = match answer.state.as_str() {
        "sent" => (Exit::Ok, "sent: look there".to_owned()),
        "pending" if answer.error.is_empty() => {
            (Exit::Temporary, "not sent yet: no coordinator leads, or it is busy; it is sent when one does".to_owned())
        }
        "pending" => (Exit::Temporary, format!("not sent, and tried again for a day: {}", line(&answer.error))),
        _ => (Exit::Config, format!("not sent: {}", line(&answer.error))),
    };
    if output.is_json() {
        output.document(&answer)?;
    } else {
        output.note(&words);
    }
    Ok(exit)
}
