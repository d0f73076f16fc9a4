//! What a format of lines is.

use crate::column::{Cell, Heading};

/// How a table is put into lines, each with its end.
pub(crate) trait Lines: Send {
    /// What stands before the first row.
    fn head(&mut self, headings: &[Heading]) -> String;

    /// `row` has a cell for each heading.
    fn row(&mut self, row: &mut dyn Iterator<Item = Cell<'_>>) -> String;

    /// What stands behind the last row.
    fn foot(&mut self) -> String {
        String::new()
    }
}
