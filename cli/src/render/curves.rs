//! Which images the curves of attacks count, and how a curve is read from the table that an attack leaves.

use anyhow::{Result, bail};
use clap::ValueEnum;

use super::csv::columns;

/// Which images count, and which attacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Convention {
    // No doc comments on the values: clap would spread its help over three times the lines.
    All,
    Paper,
    Best,
}

impl Convention {
    /// The column of one attack's curve.csv.
    fn column(self) -> &'static str {
        match self {
            Self::All | Self::Best => "all",
            Self::Paper => "paper",
        }
    }

    pub(crate) fn axis(self) -> &'static str {
        match self {
            Self::All => "misclassified, % of all images",
            Self::Paper => "misclassified, % of the images that fell",
            Self::Best => "misclassified by any of the attacks, % of all images",
        }
    }
}

/// The points of one convention from a `curve.csv`: a header with `radius` and the conventions, then numbers.
pub(crate) fn read(csv: &str, convention: Convention) -> Result<Vec<(f64, f64)>> {
    let mut points = Vec::new();
    for row in columns(csv, ["radius", convention.column()])? {
        let point: (f64, f64) = (row.number(0)?, row.number(1)?);
        // Where no image fell, the paper's convention is undefined: NaN.
        if point.0.is_finite() && (0.0..=101.0).contains(&point.1) {
            points.push(point);
        }
    }
    if points.is_empty() {
        bail!("it has no points of the convention `{}`", convention.column());
    }
    Ok(points)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CSV: &str = "radius,paper,all\n0.0,0.0,30.6\n0.25,NaN,71.9\n0.5,100.0,94.7\n";

    #[test]
    fn each_convention_has_its_column() {
        assert_eq!(read(CSV, Convention::All).unwrap(), [(0.0, 30.6), (0.25, 71.9), (0.5, 94.7)]);
        assert_eq!(read(CSV, Convention::Paper).unwrap(), [(0.0, 0.0), (0.5, 100.0)], "what is no number is no point");
    }

    #[test]
    fn a_wrong_file_says_what_is_wrong_with_it() {
        let message = |csv: &str| read(csv, Convention::All).unwrap_err().to_string();
        assert_eq!(message("radius,paper\n0,0\n"), "its header `radius,paper` has no column `all`");
        assert_eq!(message("radius,all\n0,1\nx,2\n"), "line 3: `x` is no number");
        assert_eq!(message("radius,all\n"), "it has no points of the convention `all`");
    }
}
