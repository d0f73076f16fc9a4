//! A mistake in a question, with its place.

use std::fmt;

/// What is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The condition or name as it was read: one line.
    pub text: String,
    /// The first character at fault, from 0; `None` where it is all of it.
    pub at: Option<usize>,
    pub message: String,
}

/// Characters that are shown in front of the place and behind it.
const SHOWN: usize = 60;

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        let Some(at) = self.at else { return Ok(()) };
        let from = at.saturating_sub(SHOWN);
        let shown: String = self.text.chars().skip(from).take(2 * SHOWN).collect();
        write!(f, "\n  {shown}\n  {}^", " ".repeat(at - from))
    }
}

impl std::error::Error for Fault {}
