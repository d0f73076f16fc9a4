//! `tandem-server`: flags in, exit code out.

use std::{io::IsTerminal, process::ExitCode};

use clap::Parser;
use tandem_server::{Args, LogFormat};
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    let args = Args::parse();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info,sqlx=warn"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match args.log_format {
        LogFormat::Text => log.with_target(false).with_ansi(std::io::stderr().is_terminal()).init(),
        LogFormat::Json => log.json().init(),
    }
    // In the log's format, with the place.
    std::panic::set_hook(Box::new(|panic| tracing::error!("{panic}; this is a fault of tandem-server")));
    match tandem_server::run(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tandem-server: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}
