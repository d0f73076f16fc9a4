//! `tandem-server`: flags in, exit code out.

use std::{io::IsTerminal, process::ExitCode};

use tandem_server::{Args, Command, Invocation, LogFormat, Spans};
use tracing_subscriber::{EnvFilter, Layer, fmt, layer::SubscriberExt, util::SubscriberInitExt};

/// As in sysexits.h.
const CONFIG: u8 = 78;

fn main() -> ExitCode {
    match Invocation::parse() {
        Invocation::Serve(args) => serve(*args),
        Invocation::Command(command) => run(command),
    }
}

fn serve(args: Args) -> ExitCode {
    let spans = match args.otlp.as_deref().map(|endpoint| Spans::start(endpoint, &args.display_name())).transpose() {
        Ok(spans) => spans,
        Err(why) => {
            eprintln!("tandem-server: {why}");
            return ExitCode::from(CONFIG);
        }
    };
    start_log(args.log_format, spans.as_ref());
    let code = match tandem_server::run(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => refused(&error, error.exit_code()),
    };
    if let Some(spans) = spans {
        spans.stop();
    }
    code
}

fn run(command: Command) -> ExitCode {
    start_log(LogFormat::Text, None);
    match command.run() {
        Ok(words) => {
            if !words.is_empty() {
                println!("{words}");
            }
            ExitCode::SUCCESS
        }
        Err(error) => refused(&error, error.exit_code()),
    }
}

fn start_log(format: LogFormat, spans: Option<&Spans>) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info,sqlx=warn"));
    let log = fmt::layer().with_writer(std::io::stderr);
    let log = match format {
        LogFormat::Text => log.with_target(false).with_ansi(std::io::stderr().is_terminal()).boxed(),
        LogFormat::Json => log.json().boxed(),
    };
    tracing_subscriber::registry().with(log.with_filter(filter)).with(spans.map(Spans::layer)).init();
    // In the log's format, with the place.
    std::panic::set_hook(Box::new(|panic| tracing::error!("{panic}; this is a fault of tandem-server")));
}

fn refused(error: &dyn std::error::Error, code: u8) -> ExitCode {
    eprintln!("tandem-server: {error}");
    ExitCode::from(code)
}
