//! `make chaos`: the same experiment quietly and under seeded faults, on real processes and a real Postgres. Nothing may
//! be lost, nothing doubled, and every bit must be the same.
//!
//! `plan` draws faults, `house` owns the processes, `inject` does the faults, `run` watches, `check` and `record` look at
//! what is left, `summary` and `table` say it.

mod args;
mod check;
mod clock;
mod db;
mod disk;
mod experiment;
mod fault;
mod house;
mod inject;
mod keeper;
mod plan;
mod program;
mod proxy;
mod record;
mod report;
mod run;
mod say;
mod summary;
mod table;
mod wait;
mod watch;

use std::{path::Path, process::ExitCode};

use anyhow::{Context as _, Result};
use clap::Parser as _;

use args::Args;
use clock::Faketime;
use fault::Kind;
use house::{House, Order};
use plan::Wish;
use report::{Report, Run};
use say::say;

fn main() -> ExitCode {
    let args = Args::parse();
    // Before any thread: they share what it changes only if they come after.
    let small_disks = disk::own_namespace();
    let faketime = Faketime::find();
    let mut impossible = Vec::new();
    if let Err(error) = &small_disks {
        say(&format!("SKIPPED, full-store and full-spool: {error:#}"));
        impossible.extend(Kind::all().iter().filter(|kind| kind.needs_small_disks()));
    }
    if faketime.is_none() {
        say("SKIPPED, step-clock: libfaketime is not installed (Debian and Ubuntu: package libfaketime)");
        impossible.extend(Kind::all().iter().filter(|kind| kind.needs_fake_clock()));
    }
    match act(&args, small_disks.is_ok(), faketime, impossible) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("tandem-chaos: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// True if everything that must hold does.
fn act(args: &Args, small_disks: bool, faketime: Option<Faketime>, impossible: Vec<Kind>) -> Result<bool> {
    let dir =
        tempfile::Builder::new().prefix("tandem-chaos.").tempdir().context("cannot make a folder for the house")?;
    let result = experience(args, dir.path(), small_disks, faketime, impossible);
    let holds = matches!(&result, Ok(report) if report.holds(args.strict));
    if !holds || args.keep {
        let kept = dir.keep();
        say(&format!("logs and database are kept in {}; again with: {}", kept.display(), args.again()));
    }
    let report = result?;
    println!("{}", table::table(&report.rows));
    report.promises.iter().for_each(|promise| println!("{}", report::words(promise)));
    report.wrong().iter().for_each(|words| println!("WRONG: {words}"));
    println!("{}", report.verdict(args.strict));
    if let Some(file) = &args.json {
        let text = serde_json::to_string_pretty(&report).context("cannot write JSON")?;
        std::fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(holds)
}

fn experience(
    args: &Args,
    dir: &Path,
    small_disks: bool,
    faketime: Option<Faketime>,
    impossible: Vec<Kind>,
) -> Result<Report> {
    let (tandem, server, worker) = args.binaries()?;
    let broken = args.broken.clone();
    let wish =
        Wish { only: args.only.clone(), count: args.faults, impossible: impossible.clone(), broken: broken.is_some() };
    let plans: Vec<_> = (1..=args.runs).map(|run| plan::draw(args.seed, run, &wish)).collect();
    let most = plans.iter().map(Vec::len).max().unwrap_or(0);
    std::fs::write(dir.join("chaos.toml"), experiment::toml(most, args.timing.name != "fast"))
        .context("cannot write the experiment")?;
    say(&format!("seed {}, profile {}: starting the house in {}", args.seed, args.timing.name, dir.display()));
    let timing = args.timing;
    let order = Order { dir: dir.to_owned(), tandem, server, worker, timing, broken, small_disks, faketime };
    let mut house = House::start(order)?;
    say("the quiet run");
    let quiet = run::run(&mut house, &[]).context("the quiet run, without any fault")?;
    say(&format!("the quiet run took {:.0} s", quiet.seconds));
    let mut runs = Vec::new();
    for (number, faults) in (1..).zip(&plans) {
        say(&format!("run {number} of {}, {} faults", plans.len(), faults.len()));
        let ran = run::run(&mut house, faults).with_context(|| format!("run {number}"))?;
        say(&format!("run {number} took {:.0} s", ran.seconds));
        runs.push(Run::of(ran, &quiet.record));
    }
    Ok(Report::of(args.seed, timing, impossible, quiet, runs))
}
