//! Tandem's results against those of others: torchvision, PyTorch in double precision, SciPy, Foolbox, Torchattacks.
//!
//! `rows` computes ours and judges, `peers/` computes theirs from the same inputs.

mod exchange;
mod judge;
mod peer;
mod rows;
mod run;
mod table;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use serde::Serialize;

use judge::Row;
use rows::Part;
use run::Run;

/// Compares Tandem's results with those of independent implementations, each figure beside its tolerance. The exit code
/// is 1 where one is outside, or could not be measured.
///
/// Example: `tandem-parity augment export`
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    /// What to compare.
    #[arg(value_enum, default_value = "all")]
    parts: Vec<Part>,
    /// Folder that holds `cifar-10-batches-bin/`; without it the synthetic shapes are used.
    #[arg(long, env = "TANDEM_DATA")]
    data: Option<PathBuf>,
    /// A Python that has the peers [default: the one `parity/setup` installs].
    #[arg(long)]
    python: Option<PathBuf>,
    /// Test images that are attacked.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(10..=10_000))]
    images: u32,
    /// Give the peers of a part slightly other inputs: its rows must then fail. Shows that they can.
    #[arg(long = "break", value_enum, value_name = "PART")]
    broken: Vec<Part>,
    /// One JSON document on stdout instead of the table.
    #[arg(long)]
    json: bool,
}

/// What one call found.
#[derive(Debug, Serialize)]
struct Document {
    rows: Vec<Row>,
    /// What could not be measured, and why.
    failures: Vec<String>,
}

impl Document {
    fn passes(&self) -> bool {
        self.failures.is_empty() && !self.rows.is_empty() && self.rows.iter().all(Row::passes)
    }
}

fn main() -> ExitCode {
    match compare(&Args::parse()) {
        Ok(document) if document.passes() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("tandem-parity: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn compare(args: &Args) -> Result<Document> {
    let run = Run::new(args)?;
    let mut document = Document { rows: Vec::new(), failures: Vec::new() };
    for part in rows::chosen(&args.parts) {
        eprintln!("comparing: {}", part.what());
        match part.compare(&run) {
            Ok(rows) => document.rows.extend(rows),
            Err(error) => {
                eprintln!("not measured: {error:#}");
                document.failures.push(format!("{}: {error:#}", part.what()));
            }
        }
    }
    if args.json {
        println!("{}", serde_json::to_string_pretty(&document)?);
    } else {
        println!("{}", table::table(&document.rows, &document.failures));
    }
    Ok(document)
}

/// This crate's folder in the source tree, where the peers are.
fn folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use judge::{Bound, Unit};

    #[test]
    fn arguments_are_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn nothing_measured_is_no_success() {
        let row = |figure| Row::new(1, "", figure, Bound::AtMost(1.0), Unit::Plain, "");
        let passes = |rows, failures| Document { rows, failures }.passes();
        assert!(passes(vec![row(0.5)], vec![]));
        assert!(!passes(vec![row(0.5)], vec!["a peer is missing".into()]));
        assert!(!passes(vec![row(0.5), row(1.5)], vec![]));
        assert!(!passes(vec![], vec![]));
    }
}
