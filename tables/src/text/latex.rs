//! A `tabular` for a paper.

use super::{form::Lines, plain};
use crate::column::{Cell, Heading, Kind};

pub(crate) struct Latex;

impl Lines for Latex {
    fn head(&mut self, headings: &[Heading]) -> String {
        let place = |heading: &Heading| match heading.kind {
            Kind::Int | Kind::Float => 'r',
            Kind::Text | Kind::Bool | Kind::Time => 'l',
        };
        let places: String = headings.iter().map(place).collect();
        let names = line(headings.iter().map(|heading| escaped(&heading.name)));
        format!("% \\usepackage{{booktabs}}\n\\begin{{tabular}}{{{places}}}\n\\toprule\n{names}\\midrule\n")
    }

    fn row(&mut self, row: &mut dyn Iterator<Item = Cell<'_>>) -> String {
        line(row.map(|cell| match cell {
            // A hyphen is no minus.
            Cell::Int(_) | Cell::Float(_) => plain::words(cell, escaped).replace('-', "$-$"),
            other => plain::words(other, escaped),
        }))
    }

    fn foot(&mut self) -> String {
        "\\bottomrule\n\\end{tabular}\n".to_owned()
    }
}

fn line(cells: impl Iterator<Item = String>) -> String {
    // In braces where LaTeX would read a bracket or a star after a row's end as its argument.
    let cell = |cell: String| if cell.starts_with(['[', '*']) { format!("{{{cell}}}") } else { cell };
    format!("{} \\\\\n", cells.map(cell).collect::<Vec<_>>().join(" & "))
}

/// Letters stay letters, and no command is begun.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for char in plain::on_one_line(text) {
        match char {
            '\\' => safe.push_str("\\textbackslash{}"),
            '^' => safe.push_str("\\textasciicircum{}"),
            '~' => safe.push_str("\\textasciitilde{}"),
            '<' => safe.push_str("\\textless{}"),
            '>' => safe.push_str("\\textgreater{}"),
            '|' => safe.push_str("\\textbar{}"),
            '"' => safe.push_str("\\textquotedbl{}"),
            // No dash of two hyphens, no quotation mark of two commas.
            '-' => safe.push_str("-{}"),
            '&' | '%' | '$' | '#' | '_' | '{' | '}' => safe.extend(['\\', char]),
            'λ' => safe.push_str("$\\lambda$"),
            'ε' => safe.push_str("$\\varepsilon$"),
            '±' => safe.push_str("$\\pm$"),
            '∞' => safe.push_str("$\\infty$"),
            '…' => safe.push_str("\\ldots{}"),
            char => safe.push(char),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_command_is_begun() {
        assert_eq!(escaped("\\input{x} 10 % a_b & $c$"), "\\textbackslash{}input\\{x\\} 10 \\% a\\_b \\& \\$c\\$");
        assert_eq!(escaped("λ = 0.1 ± 2"), "$\\lambda$ = 0.1 $\\pm$ 2");
        let row = [Cell::Float(-1.5), Cell::Text("[x]"), Cell::Missing];
        assert_eq!(Latex.row(&mut row.into_iter()), "$-$1.5 & {[x]} &  \\\\\n");
    }

    #[test]
    fn numbers_stand_at_the_right() {
        let heading = |name: &str, kind| Heading { name: name.to_owned(), kind };
        let head = Latex.head(&[heading("job", Kind::Text), heading("loss", Kind::Float)]);
        assert!(head.contains("\\begin{tabular}{lr}\n\\toprule\njob & loss \\\\\n\\midrule\n"), "{head}");
    }
}
