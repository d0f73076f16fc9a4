//! Side-by-side measurements: Tandem against PyTorch, torchvision and itself, as ratios within one run.
//!
//! `rows` drives, `side` is what it drives of ours (in processes of their own), `peers/` what it drives of others'.

mod child;
mod house;
mod interleave;
mod local;
mod machine;
mod played;
mod process;
mod reporter;
mod row;
mod rows;
mod side;
mod stats;
mod table;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;
use serde::Serialize;

use machine::Machine;
use row::Row;
use rows::{Choice, Run};

/// Cores that others may keep busy before their work is mentioned beside ours.
const QUIET: f64 = 0.1;

/// Measures Tandem's speed and memory, each figure beside its goal. Goals are reported, never enforced: the exit code
/// is 1 only where something could not be measured.
///
/// Example: `tandem-bench step augment --pairs 9`
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    /// What to measure.
    #[arg(value_enum, default_value = "all")]
    rows: Vec<Choice>,
    /// Pairs of blocks (ours, the other side's) in each comparison, and submits.
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pairs: u32,
    /// Workers that `load` plays.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=1000))]
    workers: u32,
    /// A Python that has the peers [default: the one `bench/setup` installs].
    #[arg(long)]
    python: Option<PathBuf>,
    /// Folder of `tandem`, `tandem-server` and `tandem-worker` [default: that of this program].
    #[arg(long, env = "TANDEM_BIN_DIR")]
    bin_dir: Option<PathBuf>,
    /// One JSON document on stdout instead of the table.
    #[arg(long)]
    json: bool,
    /// Where the raw figures go [default: bench/out].
    #[arg(long)]
    out: Option<PathBuf>,
    /// Be the measured process.
    #[arg(long, hide = true)]
    side: Option<side::Side>,
}

/// What one call measured.
#[derive(Debug, Serialize)]
struct Document {
    measured_at: chrono::DateTime<chrono::Utc>,
    machine: Machine,
    rows: Vec<Measured>,
    /// What could not be measured, and why.
    failures: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Measured {
    #[serde(flatten)]
    row: Row,
    verdict: row::Verdict,
    /// Cores that others kept busy just before.
    cores_taken_by_others: f64,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("tandem-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<ExitCode> {
    if let Some(side) = args.side {
        side::serve(side)?;
        return Ok(ExitCode::SUCCESS);
    }
    let document = measure(args)?;
    let path = save(&document, args.out.as_deref().unwrap_or(&folder().join("out")))?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&document)?);
    } else {
        let rows: Vec<Row> = document.rows.iter().map(|measured| measured.row.clone()).collect();
        println!("{}\n{}", document.machine, table::table(&rows));
    }
    eprintln!("raw figures: {}", path.display());
    Ok(if document.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn measure(args: &Args) -> Result<Document> {
    let machine = Machine::read()?;
    if machine.build != "release" {
        eprintln!("warning: this is a dev build: quote figures of `cargo run --release` only");
    }
    let run = Run {
        pairs: args.pairs as usize,
        workers: args.workers,
        python: args.python.clone().unwrap_or_else(|| folder().join(".venv/bin/python")),
        bin_dir: match &args.bin_dir {
            Some(folder) => folder.clone(),
            None => std::env::current_exe()?.parent().context("a program lies in a folder")?.to_owned(),
        },
    };
    let mut document = Document { measured_at: chrono::Utc::now(), machine, rows: Vec::new(), failures: Vec::new() };
    for part in rows::parts(&args.rows) {
        let cores_taken_by_others = machine::cores_taken_by_others()?;
        if cores_taken_by_others > QUIET {
            eprintln!("warning: others keep {cores_taken_by_others:.1} cores busy: what follows is slower than it is");
        }
        eprintln!("measuring: {}", part.what());
        match part.measure(&run) {
            Ok(rows) => document.rows.extend(rows.into_iter().map(|row| {
                let verdict = row.verdict();
                Measured { row, verdict, cores_taken_by_others }
            })),
            Err(error) => {
                eprintln!("not measured: {error:#}");
                document.failures.push(format!("{}: {error:#}", part.what()));
            }
        }
    }
    Ok(document)
}

fn save(document: &Document, folder: &Path) -> Result<PathBuf> {
    let path = folder.join(document.measured_at.format("%Y%m%dT%H%M%SZ.json").to_string());
    std::fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    std::fs::write(&path, serde_json::to_vec_pretty(document)?)
        .with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

/// This crate's folder in the source tree, where the peers are.
fn folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn arguments_are_consistent() {
        super::Args::command().debug_assert();
    }
}
