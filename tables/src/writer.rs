//! A table on its way out.

use std::io::Write;

use super::{
    column::{Heading, Table},
    error::Error,
    format::Format,
    parquet::Parquet,
    text::{self, Lines},
};

/// Lines are collected up to this many bytes before they are written.
const BUFFERED: usize = 64 * 1024;

/// Writes a table part by part, and keeps no more of it than a group of rows.
pub struct Writer<W: Write + Send> {
    headings: Vec<Heading>,
    form: Form<W>,
}

enum Form<W: Write + Send> {
    Lines { out: W, lines: Box<dyn Lines>, pending: String },
    Parquet(Parquet<W>),
}

impl<W: Write + Send> Writer<W> {
    /// # Errors
    /// If `out` does not take what stands before the rows.
    pub fn new(out: W, format: Format, headings: &[Heading]) -> Result<Self, Error> {
        let form = match text::lines(format) {
            Some(mut lines) => {
                let pending = lines.head(headings);
                Form::Lines { out, lines, pending }
            }
            None => Form::Parquet(Parquet::new(out, headings)?),
        };
        Ok(Self { headings: headings.to_vec(), form })
    }

    /// Adds these rows.
    ///
    /// # Errors
    /// [`Error::Shape`] if they have other columns; else if they cannot be written.
    pub fn write(&mut self, rows: Table) -> Result<(), Error> {
        let given = rows.headings();
        if given != self.headings {
            let names =
                |headings: &[Heading]| headings.iter().map(|one| one.name.clone()).collect::<Vec<_>>().join(", ");
            let (given, begun) = (names(&given), names(&self.headings));
            return Err(Error::Shape(format!("it was begun with {begun} and goes on with {given}")));
        }
        match &mut self.form {
            Form::Parquet(parquet) => parquet.write(rows),
            Form::Lines { out, lines, pending } => {
                for row in 0..rows.rows() {
                    pending.push_str(&lines.row(&mut rows.row(row)));
                    if pending.len() >= BUFFERED {
                        out.write_all(pending.as_bytes())?;
                        pending.clear();
                    }
                }
                Ok(())
            }
        }
    }

    /// Writes what is left, and gives back where it was written to.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn finish(self) -> Result<W, Error> {
        match self.form {
            Form::Parquet(parquet) => parquet.finish(),
            Form::Lines { mut out, mut lines, mut pending } => {
                pending.push_str(&lines.foot());
                out.write_all(pending.as_bytes())?;
                out.flush()?;
                Ok(out)
            }
        }
    }
}

/// A whole table.
///
/// # Errors
/// None that is known: the writer of Parquet says that it may fail.
pub fn bytes(table: &Table, format: Format) -> Result<Vec<u8>, Error> {
    let mut writer = Writer::new(Vec::new(), format, &table.headings())?;
    writer.write(table.clone())?;
    writer.finish()
}

#[cfg(test)]
mod tests;
