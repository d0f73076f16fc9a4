//! The command line: global options and subcommands.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::{
    commands::{
        again, archive, audit, backup, cancel, clean, compare, completions, context, data, delete, devices, doctor,
        down, exports, fetch, hold, import, init, join, list, logs, metrics, notify, pause, policy, receipt, release,
        report, restore, results, schema, show, status, submit, tag, token, top, up, usage, user, view, watch, web,
        whoami, why,
    },
    exit,
    home::path_or_nothing,
    output::Color,
};

/// Trains contrastive models on a shared GPU cluster.
#[derive(Debug, Parser)]
#[command(name = "tandem", version, propagate_version = true, after_help = exit::HELP, max_term_width = 110)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Args)]
pub(crate) struct Global {
    /// The coordinator, or several, as a,b: the first that answers [default: the running `tandem up`, else the current context, else this machine's]
    #[arg(long, global = true, env = "TANDEM_SERVER", value_name = "URL", help_heading = "Global options")]
    pub(crate) server: Option<String>,
    /// The coordinators and the token that `tandem join` kept under this name
    #[arg(long, global = true, env = "TANDEM_CONTEXT", value_name = "NAME", help_heading = "Global options")]
    pub(crate) context: Option<String>,
    /// A file with your token, of mode 600, instead of the context's; for CI, TANDEM_TOKEN may hold the token itself
    #[arg(
        long,
        global = true,
        env = "TANDEM_TOKEN_FILE",
        value_name = "FILE",
        value_parser = path_or_nothing(),
        help_heading = "Global options"
    )]
    pub(crate) token_file: Option<PathBuf>,
    /// One JSON document on stdout (JSON lines where it streams)
    #[arg(long, global = true, help_heading = "Global options")]
    pub(crate) json: bool,
    /// Colours in tables; auto is: in a terminal, unless NO_COLOR is set or TERM is dumb
    #[arg(long, global = true, value_enum, default_value_t, value_name = "WHEN", help_heading = "Global options")]
    pub(crate) color: Color,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Up(up::Up),
    Down(down::Down),
    Doctor(doctor::Doctor),
    Backup(backup::Backup),
    Restore(restore::Restore),
    Init(init::Init),
    Submit(submit::Submit),
    List(list::List),
    Show(show::Show),
    Watch(watch::Watch),
    Logs(logs::Logs),
    Why(why::Why),
    Pause(pause::Pause),
    Resume(pause::Resume),
    Requeue(pause::Requeue),
    Priority(pause::Priority),
    Cancel(cancel::Cancel),
    Results(Box<results::Results>),
    View(view::View),
    Export(exports::Export),
    Import(import::Import),
    Metrics(metrics::Metrics),
    Compare(compare::Compare),
    Report(report::Report),
    Fetch(fetch::Fetch),
    Receipt(receipt::Receipt),
    Verify(again::Verify),
    Reproduce(again::Reproduce),
    Tag(tag::Tag),
    Note(tag::Note),
    Archive(archive::Archive),
    Delete(delete::Delete),
    Clean(clean::Clean),
    Data(data::Data),
    Status(status::Status),
    Hold(hold::Hold),
    Unhold(hold::Unhold),
    Drain(hold::Drain),
    Undrain(hold::Undrain),
    Top(top::Top),
    Devices(devices::Devices),
    Usage(usage::Usage),
    Release(release::Release),
    Policy(policy::Policy),
    Notify(notify::Notify),
    Join(join::Join),
    Context(context::Context),
    #[command(name = "whoami")]
    WhoAmI(whoami::WhoAmI),
    Web(web::Web),
    User(user::User),
    Token(token::Token),
    Audit(audit::Audit),
    Schema(schema::Schema),
    Completions(completions::Completions),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_token_stands_in_no_argument() {
        let error = Cli::try_parse_from(["tandem", "list", "--token", "tdm_x"]).unwrap_err().to_string();
        assert!(error.contains("unexpected argument '--token'"), "{error}");
    }

    #[test]
    fn every_command_explains_itself_with_an_example() {
        fn check(command: &clap::Command, before: &str) {
            for command in command.get_subcommands() {
                let name = format!("{before} {}", command.get_name());
                assert!(command.get_about().is_some(), "{name} has no description");
                let after = command.get_after_help().map(ToString::to_string).unwrap_or_default();
                assert!(after.contains(&name), "{name} has no example");
                // Longer lines would be wrapped again, at no place of ours.
                assert!(after.lines().all(|line| line.chars().count() <= 80), "{name} has long lines:\n{after}");
                for argument in command.get_positionals() {
                    assert!(argument.get_help().is_some(), "{name} does not explain {}", argument.get_id());
                }
                check(command, &name);
            }
        }
        check(&Cli::command(), "tandem");
    }
}
