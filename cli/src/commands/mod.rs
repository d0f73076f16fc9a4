//! One file per command: its options, its call, its answer.

pub(crate) mod again;
pub(crate) mod archive;
mod asked;
pub(crate) mod audit;
pub(crate) mod backup;
pub(crate) mod cancel;
pub(crate) mod clean;
pub(crate) mod compare;
pub(crate) mod completions;
pub(crate) mod context;
pub(crate) mod data;
pub(crate) mod delete;
pub(crate) mod devices;
pub(crate) mod doctor;
pub(crate) mod down;
mod export;
pub(crate) mod exports;
pub(crate) mod fetch;
pub(crate) mod hold;
pub(crate) mod import;
pub(crate) mod init;
pub(crate) mod join;
pub(crate) mod list;
pub(crate) mod logs;
pub(crate) mod metrics;
pub(crate) mod notify;
mod of_jobs;
pub(crate) mod pause;
pub(crate) mod policy;
pub(crate) mod receipt;
pub(crate) mod release;
pub(crate) mod report;
pub(crate) mod restore;
pub(crate) mod results;
pub(crate) mod schema;
pub(crate) mod show;
pub(crate) mod status;
pub(crate) mod submit;
pub(crate) mod tag;
pub(crate) mod token;
pub(crate) mod top;
pub(crate) mod up;
pub(crate) mod usage;
pub(crate) mod user;
pub(crate) mod view;
pub(crate) mod watch;
pub(crate) mod web;
pub(crate) mod whoami;
pub(crate) mod why;

use crate::{
    args::{Cli, Command, Global},
    client::Client,
    exit::Exit,
    output::Output,
    target::{Named, Target},
};
use anyhow::Result;

pub(crate) async fn run(cli: Cli, output: &Output) -> Result<Exit> {
    let Cli { global, command } = cli;
    match command {
        Command::Up(up) => up.run(output).await,
        Command::Down(down) => down.run(output).await,
        Command::Backup(backup) => backup.run(output).await,
        Command::Restore(restore) => restore.run(output).await,
        Command::Doctor(doctor) => doctor.run(connect(global, output), output).await,
        Command::Data(data) => data.run(async || connect(global, output).await, output).await,
        Command::Completions(completions) => completions.run(output),
        Command::Init(init) => init.run(output),
        Command::Schema(schema) => schema.run(output),
        Command::Submit(submit) => submit.run(&connect(global, output).await?, output).await,
        Command::List(list) => list.run(&connect(global, output).await?, output).await,
        Command::Show(show) => show.run(&connect(global, output).await?, output).await,
        Command::Watch(watch) => watch.run(&connect(global, output).await?, output).await,
        Command::Logs(logs) => logs.run(&connect(global, output).await?, output).await,
        Command::Cancel(cancel) => cancel.run(&connect(global, output).await?, output).await,
        Command::Results(results) => results.run(&connect(global, output).await?, output).await,
        Command::Compare(compare) => compare.run(&connect(global, output).await?, output).await,
        Command::Report(report) => report.run(&connect(global, output).await?, output).await,
        Command::Import(import) => import.run(&connect(global, output).await?, output).await,
        Command::Export(export) => export.run(&connect(global, output).await?, output).await,
        Command::View(view) => view.run(&connect(global, output).await?, output).await,
        Command::Metrics(metrics) => metrics.run(&connect(global, output).await?, output).await,
        Command::Fetch(fetch) => fetch.run(&connect(global, output).await?, output).await,
        Command::Tag(tag) => tag.run(&connect(global, output).await?, output).await,
        Command::Note(note) => note.run(&connect(global, output).await?, output).await,
        Command::Archive(archive) => archive.run(&connect(global, output).await?, output).await,
        Command::Delete(delete) => delete.run(&connect(global, output).await?, output).await,
        Command::Clean(clean) => clean.run(&connect(global, output).await?, output).await,
        Command::Receipt(receipt) => receipt.run(async || connect(global, output).await, output).await,
        Command::Reproduce(reproduce) => reproduce.run(&connect(global, output).await?, output).await,
        Command::Verify(verify) => verify.run(&connect(global, output).await?, output).await,
        Command::Release(release) => release.run(&connect(global, output).await?, output).await,
        Command::Why(why) => why.run(&connect(global, output).await?, output).await,
        Command::Pause(pause) => pause.run(&connect(global, output).await?, output).await,
        Command::Resume(resume) => resume.run(&connect(global, output).await?, output).await,
        Command::Requeue(requeue) => requeue.run(&connect(global, output).await?, output).await,
        Command::Priority(priority) => priority.run(&connect(global, output).await?, output).await,
        Command::Hold(hold) => hold.run(&connect(global, output).await?, output).await,
        Command::Unhold(unhold) => unhold.run(&connect(global, output).await?, output).await,
        Command::Drain(drain) => drain.run(&connect(global, output).await?, output).await,
        Command::Undrain(undrain) => undrain.run(&connect(global, output).await?, output).await,
        Command::Policy(policy) => policy.run(&connect(global, output).await?, output).await,
        Command::Devices(devices) => devices.run(&connect(global, output).await?, output).await,
        Command::Usage(usage) => usage.run(&connect(global, output).await?, output).await,
        Command::Join(join) => join.run(global.token_file.as_deref(), output).await,
        Command::Context(context) => context.run(output),
        Command::Notify(notify) => notify.run(&connect(global, output).await?, output).await,
        Command::Audit(audit) => audit.run(&connect(global, output).await?, output).await,
        Command::WhoAmI(whoami) => whoami.run(&connect(global, output).await?, output).await,
        Command::Web(web) => web.run(&connect(global, output).await?, output).await,
        Command::User(user) => user.run(&connect(global, output).await?, output).await,
        Command::Token(token) => token.run(&connect(global, output).await?, output).await,
        Command::Top(top) => {
            top.check(output)?;
            top.run(&connect(global, output).await?, output).await
        }
        Command::Status(status) => status.run(&connect(global, output).await?, output).await,
    }
}

async fn connect(global: Global, output: &Output) -> Result<Client> {
    let Global { server, context, token_file, .. } = global;
    Client::new(Target::resolve(Named { server, context, token_file }, output).await?)
}
