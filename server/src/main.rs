//! `tandem-server`: flags in, exit code out.

use std::{io::IsTerminal, process::ExitCode};

use tandem_server::{Args, Command, Invocation, LogFormat};
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    match Invocation::parse() {
        Invocation::Serve(args) => serve(*args),
        Invocation::Command(command) => run(command),
    }
}

fn serve(args: Args) -> ExitCode {
    start_log(args.log_format);
    match tandem_server::run(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => refused(&error, error.exit_code()),
    }
}

fn run(command: Command) -> ExitCode {
    start_log(LogFormat::Text);
    match command.run() {
        Ok(words) => {
            println!("{words}");
            ExitCode::SUCCESS
        }
        Err(error) => refused(&error, error.exit_code()),
    }
}

fn start_log(format: LogFormat) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info,sqlx=warn"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match format {
        LogFormat::Text => log.with_target(false).with_ansi(std::io::stderr().is_terminal()).init(),
        LogFormat::Json => log.json().init(),
    }
    // In the log's format, with the place.
    std::panic::set_hook(Box::new(|panic| tracing::error!("{panic}; this is a fault of tandem-server")));
}

fn refused(error: &dyn std::error::Error, code: u8) -> ExitCode {
    eprintln!("tandem-server: {error}");
    ExitCode::from(code)
}
