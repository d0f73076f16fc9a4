//! Side-by-side measurements: Tandem against PyTorch, torchvision and itself, as ratios within one run.

// What is measured, and what it is compared with.
mod row;
mod rows;
mod settings;
mod table;
// How: two sides in turn, each a child process; ours is in `side`, the others' in the folder `peers/`.
mod child;
mod interleave;
mod side;
mod stats;
// Clusters and workers to measure.
mod client;
mod fake_worker;
mod reporter;
mod wait;
mod way;
// The machine.
mod cpu;
mod machine;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;
use serde::Serialize;

use machine::Machine;
use row::Row;
use rows::Choice;
use settings::{Settings, source_folder};

/// Above this many cores kept busy by other programs, a warning is printed.
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
    /// How long the backup of `backup` reads.
    #[arg(long, default_value_t = 2, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=60))]
    backup_minutes: u32,
    /// Fake workers of `load` and `backup`.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=1000))]
    workers: u32,
    /// Jobs of the long history of `ask` and `mlflow`.
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1000..=2_000_000))]
    jobs: u32,
    /// Points of each of two curves of each job of `ask`.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=1000))]
    points: u32,
    /// A Python that has the peers [default: the one `bench/setup` installs].
    #[arg(long)]
    python: Option<PathBuf>,
    /// A Python whose PyTorch compiles the step [default: the one `bench/setup` installs].
    #[arg(long)]
    compiled_python: Option<PathBuf>,
    /// A Python with MLflow [default: the one `bench/setup` installs].
    #[arg(long)]
    mlflow_python: Option<PathBuf>,
    /// Folder of `tandem`, `tandem-server` and `tandem-worker` [default: that of this program].
    #[arg(long, env = "TANDEM_BIN_DIR")]
    bin_dir: Option<PathBuf>,
    /// One JSON document on stdout instead of the table.
    #[arg(long)]
    json: bool,
    /// Where the raw figures go [default: bench/out].
    #[arg(long)]
    out: Option<PathBuf>,
    /// Run as the measured process.
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
    /// Cores that other programs kept busy just before.
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
    let path = save(&document, args.out.as_deref().unwrap_or(&source_folder().join("out")))?;
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
        eprintln!("warning: this is a dev build: quote only figures of `cargo run --release`");
    }
    let settings = Settings {
        pairs: args.pairs as usize,
        workers: args.workers,
        jobs: args.jobs,
        points: args.points,
        backup_minutes: args.backup_minutes,
        python: args.python.clone().unwrap_or_else(|| source_folder().join(".venv/bin/python")),
        mlflow_python: args.mlflow_python.clone().unwrap_or_else(|| source_folder().join(".venv-mlflow/bin/python")),
        compiled_python: match &args.compiled_python {
            Some(python) => python.clone(),
            None => source_folder().join(".venv-compiled/bin/python"),
        },
        bin_dir: match &args.bin_dir {
            Some(folder) => folder.clone(),
            None => std::env::current_exe()?.parent().context("a program lies in a folder")?.to_owned(),
        },
    };
    let mut document = Document { measured_at: chrono::Utc::now(), machine, rows: Vec::new(), failures: Vec::new() };
    for part in rows::parts(&args.rows) {
        let cores_taken_by_others = machine::cores_taken_by_others()?;
        if cores_taken_by_others > QUIET {
            eprintln!("warning: other programs keep {cores_taken_by_others:.1} cores busy: figures will be too low");
        }
        eprintln!("measuring: {}", part.what());
        match part.measure(&settings) {
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

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn arguments_are_consistent() {
        super::Args::command().debug_assert();
    }
}
