//! What a table is made of.

use std::collections::HashSet;

use chrono::{DateTime, Utc};

use super::error::Error;

/// What the cells of a column are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Text,
    Int,
    Float,
    Bool,
    /// A moment, in UTC; microseconds are kept.
    Time,
}

/// The cells of a column, from above; `None` where there is none.
#[derive(Clone, Debug, PartialEq)]
pub enum Cells {
    Text(Vec<Option<String>>),
    Int(Vec<Option<i64>>),
    Float(Vec<Option<f64>>),
    Bool(Vec<Option<bool>>),
    Time(Vec<Option<DateTime<Utc>>>),
}

impl Cells {
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Text(_) => Kind::Text,
            Self::Int(_) => Kind::Int,
            Self::Float(_) => Kind::Float,
            Self::Bool(_) => Kind::Bool,
            Self::Time(_) => Kind::Time,
        }
    }

    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Text(cells) => cells.len(),
            Self::Int(cells) => cells.len(),
            Self::Float(cells) => cells.len(),
            Self::Bool(cells) => cells.len(),
            Self::Time(cells) => cells.len(),
        }
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn cell(&self, row: usize) -> Cell<'_> {
        let cell = match self {
            Self::Text(cells) => cells.get(row).and_then(Option::as_deref).map(Cell::Text),
            Self::Int(cells) => cells.get(row).copied().flatten().map(Cell::Int),
            Self::Float(cells) => cells.get(row).copied().flatten().map(Cell::Float),
            Self::Bool(cells) => cells.get(row).copied().flatten().map(Cell::Bool),
            Self::Time(cells) => cells.get(row).copied().flatten().map(Cell::Time),
        };
        cell.unwrap_or(Cell::Missing)
    }
}

/// One cell.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Cell<'a> {
    Missing,
    Text(&'a str),
    Int(i64),
    Float(f64),
    Bool(bool),
    Time(DateTime<Utc>),
}

/// The name of a column and what its cells are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heading {
    pub name: String,
    pub kind: Kind,
}

/// A column with its cells.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    pub name: String,
    pub cells: Cells,
}

impl Column {
    #[must_use]
    pub fn new(name: &str, cells: Cells) -> Self {
        Self { name: name.to_owned(), cells }
    }
}

/// Rows: columns of one length, each with a name of its own. Also a part of a longer table.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    columns: Vec<Column>,
    rows: usize,
}

impl Table {
    /// # Errors
    /// [`Error::Shape`] without columns, with two of one name or with columns of different lengths.
    pub fn new(columns: Vec<Column>) -> Result<Self, Error> {
        let Some(first) = columns.first() else { return Err(Error::Shape("it has no columns".to_owned())) };
        let rows = first.cells.len();
        if let Some(other) = columns.iter().find(|column| column.cells.len() != rows) {
            let (one, other, n) = (&first.name, &other.name, other.cells.len());
            return Err(Error::Shape(format!("`{one}` has {rows} cells and `{other}` has {n}")));
        }
        let mut names = HashSet::new();
        if let Some(twice) = columns.iter().find(|column| !names.insert(&column.name)) {
            return Err(Error::Shape(format!("two columns are called `{}`", twice.name)));
        }
        Ok(Self { columns, rows })
    }

    #[must_use]
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Without its rows.
    #[must_use]
    pub fn headings(&self) -> Vec<Heading> {
        let heading = |column: &Column| Heading { name: column.name.clone(), kind: column.cells.kind() };
        self.columns.iter().map(heading).collect()
    }

    /// Cells of a row, from the left.
    pub(crate) fn row(&self, row: usize) -> impl Iterator<Item = Cell<'_>> {
        self.columns.iter().map(move |column| column.cells.cell(row))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_table_says_why() {
        let column = |name: &str, rows| Column::new(name, Cells::Int(vec![Some(1); rows]));
        let message = |columns| Table::new(columns).unwrap_err().to_string();
        assert_eq!(message(vec![]), "this is no table: it has no columns");
        assert_eq!(message(vec![column("a", 2), column("b", 1)]), "this is no table: `a` has 2 cells and `b` has 1");
        assert_eq!(message(vec![column("a", 1), column("a", 1)]), "this is no table: two columns are called `a`");
        assert_eq!(Table::new(vec![column("a", 3)]).unwrap().rows(), 3);
    }
}
