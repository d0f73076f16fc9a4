//! The tables that jobs leave as CSV: columns by name, numbers by line. No field of theirs is quoted.

use std::{error::Error, str::FromStr};

use anyhow::{Context, Result, bail};

/// One line: the fields of the columns that were asked for, in that order.
pub(crate) struct Record<'a, const N: usize> {
    /// Number of the line in the file, from 1, for messages.
    pub(crate) line: usize,
    pub(crate) fields: [&'a str; N],
}

impl<const N: usize> Record<'_, N> {
    pub(crate) fn number<T>(&self, column: usize) -> Result<T>
    where
        T: FromStr<Err: Error + Send + Sync + 'static>,
    {
        let text = self.fields[column];
        text.parse().with_context(|| format!("line {}: `{text}` is no number", self.line))
    }
}

/// Reads the columns with these names, which the header must have. Missing fields are empty; empty lines are skipped.
pub(crate) fn columns<'a, const N: usize>(csv: &'a str, names: [&str; N]) -> Result<Vec<Record<'a, N>>> {
    let mut lines = csv.lines();
    let header: Vec<&str> = lines.next().unwrap_or_default().split(',').map(str::trim).collect();
    let mut places = [0; N];
    for (place, name) in places.iter_mut().zip(names) {
        let found = header.iter().position(|column| *column == name);
        *place = found.with_context(|| format!("its header `{}` has no column `{name}`", header.join(",")))?;
    }
    let row = |(index, line): (usize, &'a str)| {
        let fields: Vec<&str> = line.split(',').map(str::trim).collect();
        Record { line: index + 2, fields: places.map(|place| fields.get(place).copied().unwrap_or_default()) }
    };
    Ok(lines.enumerate().filter(|(_, line)| !line.trim().is_empty()).map(row).collect())
}

/// One attacked image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Image {
    /// Its place in the test set.
    pub(crate) id: u64,
    pub(crate) label: i64,
    /// How far the attack moved it: 0 if it was misclassified already, infinite if it withstood. An f32, as measured.
    pub(crate) distance: f32,
}

impl Image {
    /// Whether it is misclassified if it may be moved by `radius`.
    pub(crate) fn falls_within(&self, radius: f64) -> bool {
        // Compared as f32, as the attack does: else 0.1 would not lie within 0.1.
        self.distance <= radius as f32
    }
}

/// The rows of `attack.csv`: which images an attack was given, and how far each had to be moved.
pub(crate) fn images(csv: &str) -> Result<Vec<Image>> {
    let mut all = Vec::new();
    for row in columns(csv, ["image", "label", "distance"])? {
        // Where the attack failed, no distance is written.
        let distance = if row.fields[2].is_empty() { f32::INFINITY } else { row.number(2)? };
        // A NaN would count as withstanding.
        if distance.is_nan() || distance < 0.0 {
            bail!("line {}: `{}` is no distance", row.line, row.fields[2]);
        }
        all.push(Image { id: row.number(0)?, label: row.number(1)?, distance });
    }
    if all.is_empty() {
        bail!("it has no images");
    }
    Ok(all)
}

/// The rows of `predictions.csv` as if each had been attacked: an image that is classified wrongly is one that falls at once.
pub(crate) fn predictions(csv: &str) -> Result<Vec<Image>> {
    let mut all = Vec::new();
    for row in columns(csv, ["image", "label", "prediction"])? {
        let (label, prediction): (i64, i64) = (row.number(1)?, row.number(2)?);
        all.push(Image { id: row.number(0)?, label, distance: if label == prediction { f32::INFINITY } else { 0.0 } });
    }
    if all.is_empty() {
        bail!("it has no images");
    }
    Ok(all)
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

    /// As `learn/src/stage/attack/export.rs` writes it.
    const CSV: &str = "image,label,clean_prediction,distance,attack\n0,3,5,0,\n1,8,8,0.1,plb\n2,8,8,,\n";

    #[test]
    fn an_empty_distance_is_an_image_that_withstood() {
        let found = images(CSV).unwrap();
        let facts: Vec<_> = found.iter().map(|image| (image.id, image.label, image.distance)).collect();
        assert_eq!(facts, [(0, 3, 0.0), (1, 8, 0.1), (2, 8, f32::INFINITY)]);
        let within = |radius: f64| found.iter().filter(|image| image.falls_within(radius)).count();
        assert_eq!([0.0, 0.0999, 0.1, 1e9].map(within), [1, 1, 2, 2], "the edge counts");
    }

    /// As `learn/src/stage/predictions.rs` writes it.
    #[test]
    fn a_wrong_prediction_is_an_image_that_has_fallen() {
        let found = predictions("image,label,prediction\n0,3,5\n1,8,8\n").unwrap();
        let facts: Vec<_> = found.iter().map(|image| (image.id, image.label, image.falls_within(0.0))).collect();
        assert_eq!(facts, [(0, 3, true), (1, 8, false)]);
        assert_eq!(predictions("image,label,prediction\n").unwrap_err().to_string(), "it has no images");
        assert!(predictions("image,label,prediction\n0,1,x\n").unwrap_err().to_string().starts_with("line 2"));
    }

    #[test]
    fn a_wrong_table_says_what_is_wrong_with_it() {
        let message = |csv: &str| images(csv).unwrap_err().to_string();
        assert_eq!(message("image,label\n0,1\n"), "its header `image,label` has no column `distance`");
        assert_eq!(message("image,label,distance\n0,1,NaN\n"), "line 2: `NaN` is no distance");
        assert_eq!(message("image,label,distance\n0,1,-1\n"), "line 2: `-1` is no distance");
        assert_eq!(message("image,label,distance\n0,1\nx,1,0\n"), "line 3: `x` is no number");
        assert_eq!(message("image,label,distance\n"), "it has no images");
    }
}
