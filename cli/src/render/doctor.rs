//! What `tandem doctor` has found.

use super::table::{Rows, Style, Text, Tone};
use crate::doctor::{Check, Grade};

/// A line for each look; below one that is not well, what to do.
pub(crate) fn checks(checks: &[Check], style: Style) -> String {
    let mut rows = Rows::new(style, &["", "LOOKED AT", "FOUND"]);
    for check in checks {
        let (word, tone) = match check.grade {
            Grade::Ok => ("ok", Tone::Good),
            Grade::Warn => ("warn", Tone::Active),
            Grade::Bad => ("BAD", Tone::Bad),
        };
        rows.row([Text::new(word, tone), check.what.as_str().into(), check.found.as_str().into()]);
        if !check.advice.is_empty() {
            rows.row(["".into(), "".into(), Text::new(format!("-> {}", check.advice), Tone::Faint)]);
        }
    }
    rows.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_to_do_stands_below_what_is_wrong() {
        let check = |what: &str, grade, found: &str, advice: &str| Check {
            what: what.to_owned(),
            grade,
            found: found.to_owned(),
            advice: advice.to_owned(),
        };
        let found =
            [check("driver", Grade::Ok, "550.54", ""), check("store", Grade::Bad, "full\u{1b}[2J", "make room")];
        let text = checks(&found, Style::default());
        let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
        assert!(
            lines[1].starts_with("ok") && lines[2].starts_with("BAD") && lines[3].trim() == "-> make room",
            "{text}"
        );
        assert!(!text.contains('\u{1b}'), "{text}");
    }
}
