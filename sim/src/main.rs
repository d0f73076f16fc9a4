//! `tandem-sim`: runs seeds and prints the outcome.

use std::{ops::Range, process::ExitCode, time::Instant};

use clap::Parser;
use tandem_sim::{Broken, Found, run, run_all};

/// Runs the rules of scheduling and leases through random faults under a virtual clock, and checks the invariants.
#[derive(Parser)]
#[command(
    name = "tandem-sim",
    version,
    after_help = "Examples:\n  tandem-sim --seeds 0..10000\n  tandem-sim --seed 7 --trace\n  tandem-sim --break no-fence --seeds 0..500"
)]
struct Args {
    /// The seeds to run, the last one not included.
    #[arg(long, value_name = "FROM..TO", default_value = "0..10000", value_parser = range, conflicts_with = "seed")]
    seeds: Range<u64>,
    /// One seed.
    #[arg(long)]
    seed: Option<u64>,
    /// Print what happens in the run of `--seed`.
    #[arg(long, requires = "seed")]
    trace: bool,
    /// Leave a rule out: an invariant must be violated then.
    #[arg(long = "break", value_name = "NAME")]
    broken: Option<Broken>,
}

fn range(text: &str) -> Result<Range<u64>, String> {
    let number = |text: &str| text.parse::<u64>().map_err(|error| format!("`{text}` is no seed: {error}"));
    let (from, to) = text.split_once("..").ok_or("expected two seeds with `..` between them, as in 0..10000")?;
    Ok(number(from)?..number(to)?)
}

fn main() -> ExitCode {
    let args = Args::parse();
    let began = Instant::now();
    let (counts, found) = match args.seed {
        Some(seed) => {
            let outcome = run(seed, args.broken, args.trace);
            print!("{}", outcome.trace);
            (outcome.counts, outcome.violation.map(|violation| Found { seed, violation }))
        }
        None => run_all(args.seeds, args.broken),
    };
    print!("{counts}");
    println!("{:<38}{:>12.1}", "seconds", began.elapsed().as_secs_f64());
    let Some(Found { seed, violation }) = found else {
        println!("every invariant held");
        return ExitCode::SUCCESS;
    };
    let broken = args.broken.map(|broken| format!(" --break {}", broken.name())).unwrap_or_default();
    println!("\n{} did not hold after {:.3} s of seed {seed}:", violation.invariant, violation.at as f64 / 1000.0);
    println!("  {}", violation.facts);
    println!("replay: tandem-sim --seed {seed} --trace{broken}");
    ExitCode::FAILURE
}
