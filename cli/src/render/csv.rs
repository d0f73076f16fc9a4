//! The tables that jobs leave as CSV: columns by name, numbers by line. No field of theirs is quoted.

use std::{error::Error, str::FromStr};

use anyhow::{Context, Result};

/// The fields of the columns that were asked for, in that order.
pub(crate) struct Row<'a, const N: usize> {
    /// In the file, from 1: for messages.
    pub(crate) line: usize,
    pub(crate) fields: [&'a str; N],
}

impl<const N: usize> Row<'_, N> {
    pub(crate) fn number<T>(&self, column: usize) -> Result<T>
    where
        T: FromStr<Err: Error + Send + Sync + 'static>,
    {
        let text = self.fields[column];
        text.parse().with_context(|| format!("line {}: `{text}` is no number", self.line))
    }
}

/// Columns stand where the header says. A field that a line lacks is empty; empty lines are none.
pub(crate) fn columns<'a, const N: usize>(csv: &'a str, names: [&str; N]) -> Result<Vec<Row<'a, N>>> {
    let mut lines = csv.lines();
    let header: Vec<&str> = lines.next().unwrap_or_default().split(',').map(str::trim).collect();
    let mut places = [0; N];
    for (place, name) in places.iter_mut().zip(names) {
        let found = header.iter().position(|column| *column == name);
        *place = found.with_context(|| format!("its header `{}` has no column `{name}`", header.join(",")))?;
    }
    let row = |(index, line): (usize, &'a str)| {
        let fields: Vec<&str> = line.split(',').map(str::trim).collect();
        Row { line: index + 2, fields: places.map(|place| fields.get(place).copied().unwrap_or_default()) }
    };
    Ok(lines.enumerate().filter(|(_, line)| !line.trim().is_empty()).map(row).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_found_by_name() {
        let rows = columns("a, b ,c\n1,2,3\n\n4,x\n", ["c", "b"]).unwrap();
        assert_eq!(
            rows.iter().map(|row| (row.line, row.fields)).collect::<Vec<_>>(),
            [(2, ["3", "2"]), (4, ["", "x"])]
        );
        assert_eq!(rows[0].number::<u64>(1).unwrap(), 2);
        assert_eq!(rows[1].number::<f64>(1).unwrap_err().to_string(), "line 4: `x` is no number");
        let missing = columns("a,b\n", ["a", "d"]).err().unwrap();
        assert_eq!(missing.to_string(), "its header `a,b` has no column `d`");
    }
}
