//! `make chaos` runs one experiment without faults ("quietly") and then under seeded faults, on real processes and a real
//! Postgres. Nothing may be lost, nothing stored twice, and every bit must be the same.

mod args;
// Which faults, and on what.
mod experiment;
mod fault;
mod plan;
// The cluster, and what is done to it.
mod clock;
mod cluster;
mod disk;
mod inject;
mod log;
mod proxy;
mod readers;
mod supervisor;
mod table_lock;
// What the database shows of it.
mod check;
mod queries;
mod record;
mod recovery;
// One run, and the report on all.
mod report;
mod run;
mod summary;
mod table;
mod wait;

use std::{path::Path, process::ExitCode};

use anyhow::{Context as _, Result};
use clap::Parser as _;

use args::Args;
use clock::Faketime;
use cluster::{Cluster, Options};
use fault::FaultKind;
use log::log;
use plan::PlanOptions;
use report::{Report, RunReport};

fn main() -> ExitCode {
    let args = Args::parse();
    // Before any thread is started: only later threads are in the same namespace.
    let small_disks = disk::own_namespace();
    let faketime = Faketime::find();
    let mut skipped = Vec::new();
    if let Err(error) = &small_disks {
        log(&format!("SKIPPED, full-store and full-spool: {error:#}"));
        skipped.extend(FaultKind::all().iter().filter(|kind| kind.needs_small_disks()));
    }
    if faketime.is_none() {
        log("SKIPPED, step-clock: libfaketime is not installed (Debian and Ubuntu: package libfaketime)");
        skipped.extend(FaultKind::all().iter().filter(|kind| kind.needs_fake_clock()));
    }
    match execute(&args, small_disks.is_ok(), faketime, skipped) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("tandem-chaos: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// True if everything holds.
fn execute(args: &Args, small_disks: bool, faketime: Option<Faketime>, skipped: Vec<FaultKind>) -> Result<bool> {
    let dir =
        tempfile::Builder::new().prefix("tandem-chaos.").tempdir().context("cannot make a folder for the cluster")?;
    let result = run_all(args, dir.path(), small_disks, faketime, skipped);
    let holds = matches!(&result, Ok(report) if report.holds(args.strict));
    if !holds || args.keep {
        let kept = dir.keep();
        log(&format!("logs and database are kept in {}; again with: {}", kept.display(), args.again()));
    }
    let report = result?;
    println!("{}", table::table(&report.rows));
    report.promises.iter().for_each(|promise| println!("{}", report::describe(promise)));
    report.wrong().iter().for_each(|description| println!("WRONG: {description}"));
    println!("{}", report.verdict(args.strict));
    if let Some(file) = &args.json {
        let text = serde_json::to_string_pretty(&report).context("cannot write JSON")?;
        std::fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(holds)
}

fn run_all(
    args: &Args,
    dir: &Path,
    small_disks: bool,
    faketime: Option<Faketime>,
    skipped: Vec<FaultKind>,
) -> Result<Report> {
    let binaries = args.binaries()?;
    let broken = args.broken.clone();
    let options =
        PlanOptions { only: args.only.clone(), count: args.faults, skipped: skipped.clone(), broken: broken.is_some() };
    let plans: Vec<_> = (1..=args.runs).map(|run| plan::draw(args.seed, run, &options)).collect();
    let most = plans.iter().map(Vec::len).max().unwrap_or(0);
    std::fs::write(dir.join("chaos.toml"), experiment::toml(most, args.timing.name != "fast"))
        .context("cannot write the experiment")?;
    log(&format!("seed {}, profile {}: starting the cluster in {}", args.seed, args.timing.name, dir.display()));
    let timing = args.timing;
    let options = Options { folder: dir.to_owned(), binaries, timing, broken, small_disks, faketime };
    let mut cluster = Cluster::start(options)?;
    log("the quiet run");
    let quiet = run::run(&mut cluster, &[]).context("the quiet run, without any fault")?;
    log(&format!("the quiet run took {:.0} s", quiet.seconds));
    let mut runs = Vec::new();
    for (number, faults) in (1..).zip(&plans) {
        log(&format!("run {number} of {}, {} faults", plans.len(), faults.len()));
        let result = run::run(&mut cluster, faults).with_context(|| format!("run {number}"))?;
        log(&format!("run {number} took {:.0} s", result.seconds));
        runs.push(RunReport::of(result, &quiet.record));
    }
    Ok(Report::of(args.seed, timing, skipped, quiet, runs))
}
