//! The terminal: taken, drawn on, and given back however this ends.

use std::{
    io::{self, Stdout, Write},
    panic,
    sync::Once,
};

use anyhow::{Context, Result};
use ratatui::{
    Terminal, TerminalOptions, Viewport,
    backend::CrosstermBackend,
    buffer::Buffer,
    crossterm::{
        cursor::{Hide, Show},
        execute,
        terminal::{
            Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
            window_size,
        },
    },
    layout::Rect,
};

/// Of a terminal that does not say how large it is.
const USUAL: (u16, u16) = (80, 24);

/// The whole screen, as long as it lives.
pub(crate) struct Screen {
    // Of a fixed size, and made anew for another one: a screen that follows the terminal's size asks it where the cursor is, and waits
    // for an answer that not every terminal gives.
    terminal: Terminal<CrosstermBackend<Stdout>>,
}

impl Screen {
    pub(crate) fn enter() -> Result<Self> {
        give_back_on_panic();
        let taken = enable_raw_mode().and_then(|()| execute!(io::stdout(), EnterAlternateScreen, Hide));
        if let Err(error) = taken {
            give_back();
            return Err(error).context("cannot draw on this terminal");
        }
        let terminal = fresh().inspect_err(|_| give_back())?;
        Ok(Self { terminal })
    }

    pub(crate) fn draw(&mut self, draw: impl FnOnce(&mut Buffer)) -> Result<()> {
        self.terminal.draw(|frame| draw(frame.buffer_mut())).context("cannot draw on the terminal")?;
        Ok(())
    }

    /// The terminal has another size, or something else was on it.
    pub(crate) fn renew(&mut self) -> Result<()> {
        self.terminal = fresh()?;
        Ok(())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

fn fresh() -> Result<Terminal<CrosstermBackend<Stdout>>> {
    execute!(io::stdout(), Clear(ClearType::All)).context("cannot clear the terminal")?;
    let (width, height) = match window_size() {
        Ok(size) if size.columns > 0 && size.rows > 0 => (size.columns, size.rows),
        _ => USUAL,
    };
    let viewport = Viewport::Fixed(Rect::new(0, 0, width, height));
    Terminal::with_options(CrosstermBackend::new(io::stdout()), TerminalOptions { viewport })
        .context("cannot draw on this terminal")
}

/// As it was. A terminal that has gone needs nothing back.
fn give_back() {
    let _ = disable_raw_mode();
    let _ = execute!(io::stdout(), LeaveAlternateScreen, Show);
    let _ = io::stdout().flush();
}

/// What a panic says would stand on a screen that is gone a moment later, in a terminal without line ends.
fn give_back_on_panic() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            give_back();
            before(info);
        }));
    });
}
