//! Tandem's results against those of others: torchvision, PyTorch in double precision, SciPy, Foolbox, Torchattacks.
//!
//! In reading order: `args` is the command line, `environment` what all comparisons share, `peer` and
//! `exchange` talk to the Python processes in `peers/`, `rows` computes our figures and compares them, `row` and
//! `table` show the verdicts.

mod args;
mod environment;
mod exchange;
mod peer;
mod row;
mod rows;
mod table;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use serde::Serialize;

use args::Args;
use environment::Environment;
use row::Row;

/// The result of one run.
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
    let env = Environment::new(args)?;
    let mut document = Document { rows: Vec::new(), failures: Vec::new() };
    for part in args::chosen(&args.parts) {
        eprintln!("comparing: {}", part.what());
        match rows::compare(part, &env) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use row::{Bound, Unit};

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
