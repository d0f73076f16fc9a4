//! What a person types: a token, which is not shown, and yes or no.

use std::{
    io::{self, IsTerminal, Read, Write},
    os::fd::AsFd,
};

use anyhow::{Context, Result};
use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};
use tandem_connect::secret;
use tandem_domain::access::token::Token;
use tokio::signal::unix::{SignalKind, signal};

use crate::exit::{Exit, Failure};

/// More than a token, and blanks around it.
const LONGEST: u64 = 4 << 10;

pub(crate) fn is_terminal() -> bool {
    io::stdin().is_terminal()
}

/// The token from stdin; at a terminal it is asked for, and not shown.
pub(crate) async fn token() -> Result<Token> {
    let text = if is_terminal() {
        let _hidden = Hidden::begin()?;
        let text = ask("Token (it is not shown): ").await;
        // The line feed that was not shown either.
        eprintln!();
        text?
    } else {
        let mut text = String::new();
        io::stdin().take(LONGEST).read_to_string(&mut text).context("cannot read the token from stdin")?;
        text
    };
    secret::parse_token(&text).map_err(|why| {
        Failure::error(
            Exit::Usage,
            format!("what stdin has is no token: {why}. --token-file FILE reads it from a file"),
        )
    })
}

/// Whether the answer is yes.
pub(crate) async fn confirms(question: &str) -> Result<bool> {
    let answer = ask(&format!("{question} [y/N] ")).await?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}

/// One line. A signal that would end this process ends only the question, so that the terminal is given back as it was.
async fn ask(question: &str) -> Result<String> {
    let listen = |kind| signal(kind).context("cannot listen to signals");
    let (mut interrupt, mut terminate, mut hangup) =
        (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?, listen(SignalKind::hangup())?);
    let mut stderr = io::stderr();
    write!(stderr, "{question}").and_then(|()| stderr.flush()).context("cannot write to the terminal")?;
    // On a thread of its own, which nobody waits for once there was a signal.
    let line = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        io::stdin().read_line(&mut line).map(|_| line)
    });
    tokio::select! {
        line = line => line.context("the thread that reads stdin broke off")?.context("cannot read from the terminal"),
        _ = interrupt.recv() => Err(interrupted()),
        _ = terminate.recv() => Err(interrupted()),
        _ = hangup.recv() => Err(interrupted()),
    }
}

fn interrupted() -> anyhow::Error {
    Failure::error(Exit::Interrupted, "interrupted; nothing was kept")
}

/// While it lives, the terminal does not show what is typed.
struct Hidden {
    before: Termios,
}

impl Hidden {
    fn begin() -> Result<Self> {
        let stdin = io::stdin();
        let before = tcgetattr(stdin.as_fd()).context("cannot ask the terminal for its settings")?;
        let mut hidden = before.clone();
        hidden.local_flags.remove(LocalFlags::ECHO);
        tcsetattr(stdin.as_fd(), SetArg::TCSAFLUSH, &hidden)
            .context("cannot keep the terminal from showing the token")?;
        Ok(Self { before })
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        // A terminal that has gone needs nothing back.
        let _ = tcsetattr(io::stdin().as_fd(), SetArg::TCSAFLUSH, &self.before);
    }
}
