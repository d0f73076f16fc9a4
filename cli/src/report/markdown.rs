//! A report as Markdown of GitHub's kind. Figures are left to the page: the tables beside them have their numbers.

use anyhow::{Context, Result};
use tandem_tables::{Cells, Column, Format, bytes};

use super::document::{Block, Cell, Document, Table};
use crate::printable;

/// # Errors
/// None that is known: a table says that it may have no shape.
pub(crate) fn text(document: &Document) -> Result<String> {
    let mut text = format!("# {}\n\n", escaped(&document.title));
    for (key, value) in &document.facts {
        text.push_str(&format!("- {}: {}\n", escaped(key), escaped(value)));
    }
    for section in &document.sections {
        text.push_str(&format!("\n## {}\n", escaped(&section.title)));
        for block in &section.blocks {
            text.push('\n');
            match block {
                Block::Text(said) => text.push_str(&format!("{}\n", escaped(said))),
                Block::List(lines) => lines.iter().for_each(|line| text.push_str(&format!("- {}\n", escaped(line)))),
                Block::Todo(todo) => todo.iter().for_each(|(said, command)| text.push_str(&item(said, command))),
                Block::Figure(figure) => {
                    text.push_str(&format!("*Figure, drawn with `--format html`: {}*\n", escaped(&figure.caption)));
                }
                Block::Table(table) => text.push_str(&written(table)?),
            }
        }
    }
    Ok(text)
}

fn item(said: &str, command: &str) -> String {
    match command {
        "" => format!("- {}\n", escaped(said)),
        command => format!("- {}\n\n      {}\n\n", escaped(said), printable::line(command)),
    }
}

fn written(table: &Table) -> Result<String> {
    let mut taken: Vec<String> = Vec::new();
    let column = |(place, head): (usize, &String)| {
        // Two of one name would be one column.
        let name = if taken.contains(head) { format!("{head} ({})", place + 1) } else { head.clone() };
        taken.push(name.clone());
        let cell = |row: &Vec<Cell>| Some(row.get(place).map(one_line).unwrap_or_default());
        Column::new(&name, Cells::Text(table.rows.iter().map(cell).collect()))
    };
    let columns = table.heads.iter().enumerate().map(column).collect();
    let rows = tandem_tables::Table::new(columns).context("cannot write a table")?;
    let text = String::from_utf8(bytes(&rows, Format::Markdown).context("cannot write a table")?)?;
    Ok(format!("{}\n\n{text}", escaped(&table.caption)))
}

fn one_line(cell: &Cell) -> String {
    let line = |(text, note): &(String, String)| match note.is_empty() {
        true => text.clone(),
        false => format!("{text} ({note})"),
    };
    let line = cell.0.iter().map(line).collect::<Vec<_>>().join("; ");
    printable::line(&line).into_owned()
}

/// What would begin something of Markdown's is shown as it is. Our own texts name commands between backquotes.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for char in printable::line(text).chars() {
        if matches!(char, '\\' | '*' | '_' | '[' | ']' | '<' | '>' | '#' | '|' | '~' | '&' | '!') {
            safe.push('\\');
        }
        safe.push(char);
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::document::Section;

    #[test]
    fn what_others_wrote_is_text() {
        let table = Table {
            caption: "A <b>".to_owned(),
            heads: vec!["a".to_owned(), "a".to_owned()],
            rows: vec![vec![Cell::with("x|y", "note"), "<script>".into()]],
            numbers_from: 1,
        };
        let blocks = vec![
            Block::Text("*a* [x](y)".to_owned()),
            Block::Table(table),
            Block::Todo(vec![("b".to_owned(), "tandem show x".to_owned())]),
        ];
        let document =
            Document { title: "# <img>".to_owned(), sections: vec![Section::new("s", blocks)], ..Document::default() };
        let text = text(&document).unwrap();
        assert!(text.starts_with("# \\# \\<img\\>\n"), "{text}");
        assert!(text.contains("\\*a\\* \\[x\\](y)") && text.contains("      tandem show x\n"), "{text}");
        assert!(text.contains("a (2)") && !text.contains("<script>"), "{text}");
    }
}
