//! A list of objects.

use serde_json::Value;

use super::{form::Lines, plain};
use crate::column::{Cell, Heading};

#[derive(Default)]
pub(crate) struct Json {
    /// As they stand before the colon.
    keys: Vec<String>,
    has_rows: bool,
}

impl Lines for Json {
    fn head(&mut self, headings: &[Heading]) -> String {
        self.keys = headings.iter().map(|heading| text(&heading.name)).collect();
        "[".to_owned()
    }

    fn row(&mut self, row: &mut dyn Iterator<Item = Cell<'_>>) -> String {
        let fields: Vec<String> =
            self.keys.iter().zip(row).map(|(key, cell)| format!("{key}:{}", value(cell))).collect();
        let before = if std::mem::replace(&mut self.has_rows, true) { ",\n" } else { "\n" };
        format!("{before}{{{}}}", fields.join(","))
    }

    fn foot(&mut self) -> String {
        if self.has_rows { "\n]\n".to_owned() } else { "]\n".to_owned() }
    }
}

fn text(text: &str) -> String {
    Value::from(text).to_string()
}

fn value(cell: Cell<'_>) -> String {
    match cell {
        Cell::Missing => "null".to_owned(),
        // JSON has no words for these.
        Cell::Float(value) if !value.is_finite() => "null".to_owned(),
        Cell::Text(other) => text(other),
        Cell::Time(_) => text(&plain::words(cell, str::to_owned)),
        Cell::Int(_) | Cell::Float(_) | Cell::Bool(_) => plain::words(cell, str::to_owned),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::column::Kind;

    #[test]
    fn a_document_whatever_stands_in_it() {
        let heading = |name: &str| Heading { name: name.to_owned(), kind: Kind::Float };
        let mut json = Json::default();
        let mut all = json.head(&[heading("a\"b"), heading("c")]);
        assert_eq!(
            serde_json::from_str::<Value>(&(all.clone() + &Json::default().foot())).unwrap(),
            Value::Array(vec![])
        );
        all += &json.row(&mut [Cell::Text("\u{1b}</script>\n\""), Cell::Float(f64::INFINITY)].into_iter());
        all += &json.row(&mut [Cell::Float(1e300), Cell::Float(-1e-300)].into_iter());
        all += &json.foot();
        let read: Value = serde_json::from_str(&all).unwrap();
        assert_eq!(read[0]["a\"b"], "\u{1b}</script>\n\"");
        assert_eq!((&read[0]["c"], &read[1]["a\"b"], &read[1]["c"]), (&Value::Null, &1e300.into(), &(-1e-300).into()));
    }
}
