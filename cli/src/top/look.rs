//! Colours and emphasis; without colours, emphasis alone.

use ratatui::style::{Color, Modifier, Style};

use crate::render::table::Tone;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Look {
    pub(crate) color: bool,
}

impl Look {
    pub(crate) fn tone(self, tone: Tone) -> Style {
        let style = Style::new();
        match tone {
            Tone::Plain => style,
            Tone::Faint => style.add_modifier(Modifier::DIM),
            Tone::Bad if !self.color => style.add_modifier(Modifier::BOLD),
            _ if !self.color => style,
            Tone::Good => style.fg(Color::Green),
            Tone::Bad => style.fg(Color::Red),
            Tone::Active => style.fg(Color::Cyan),
        }
    }

    pub(crate) fn head(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    /// Of what the keys act on.
    pub(crate) fn chosen(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }

    /// A line of the foot: a question, or what went wrong.
    pub(crate) fn remark(self, is_bad: bool) -> Style {
        let style = Style::new().add_modifier(Modifier::BOLD);
        if is_bad { style.patch(self.tone(Tone::Bad)) } else { style }
    }
}
