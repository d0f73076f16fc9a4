//! `tandem-worker rank`: the process that trains. Started by `tandem-worker run`, never by hand.
//!
//! In, on stdin: a [`Task`] as one JSON line, then commands (`pipes`). Out: events as JSON lines on stdout, the log on
//! stderr, whose last line is the reason of a failure, and an exit code (`exit_code`). `process` prepares the process,
//! `rendezvous` forms the process group, `watchdog` ends the process if it hangs.
//!
//! Before training begins, SIGTERM ends the process on the spot, since nothing is lost. From then on it means: finish the
//! step, write a checkpoint, exit.

pub(crate) mod environment;
mod pipes;
mod process;
mod rendezvous;
mod watchdog;

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, atomic::AtomicBool},
};

use clap::Args;
use signal_hook::consts::SIGTERM;
use tandem_learn::{
    Failure,
    report::{Event, Outcome, Report},
    task::Task,
};

use crate::{exit_code, store_probe};
use pipes::{EventPipe, Inbox, Reporter};

pub(crate) use process::{die_with, take_stdout};
pub(crate) use rendezvous::open_cuda;

#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct RankArgs {
    /// The process that this one dies with.
    #[arg(long)]
    worker_pid: i32,
}

/// Runs one rank and ends the process.
pub(crate) fn main(args: RankArgs) -> ! {
    process::log_panics_in_one_line();
    let code = match catch_unwind(AssertUnwindSafe(|| train(args))) {
        Ok(Ok(Outcome::Finished)) => exit_code::FINISHED,
        Ok(Ok(Outcome::Stopped)) => exit_code::STOPPED,
        Ok(Err(failure)) => {
            eprintln!("{}", failure.to_string().replace('\n', " "));
            exit_code::of(&failure)
        }
        Err(_panic) => exit_code::UNKNOWN,
    };
    // libtorch's destructors are skipped: they crash while a collective is under way or a thread of Gloo is alive.
    signal_hook::low_level::exit(code)
}

fn train(args: RankArgs) -> Result<Outcome, Failure> {
    process::die_with(args.worker_pid).map_err(machine)?;
    let pipe = EventPipe::new(process::take_stdout().map_err(machine)?);
    let task = read_task()?;
    check_store(&task)?;
    let inbox = Inbox::open().map_err(machine)?;
    watchdog::start(&task, pipe.clone()).map_err(machine)?;
    let mut reporter = Reporter::new(pipe, &inbox);
    reporter.event(Event::Phase { name: "started".to_owned(), first_step: 0 });

    let group = rendezvous::process_group(&task, &mut reporter, || inbox.rendezvous())?;
    // Once CUDA is loaded: libtorch then names its libraries, too.
    reporter.event(Event::Environment(Box::new(environment::environment(task.spec.threads)?)));
    let stop = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(SIGTERM, Arc::clone(&stop)).map_err(machine)?;
    let result = tandem_learn::run(&task, &group, &mut reporter, &stop);
    if task.rank == 0 && task.device == "cpu" && matches!(result, Ok(Outcome::Finished)) {
        // The estimate of memory is calibrated by it.
        process::peak_memory().into_iter().for_each(|bytes| {
            reporter.event(Event::Result { name: "peak_memory_bytes".to_owned(), value: bytes as f64 });
        });
    }
    // Dropping a group whose peers are gone can block for a long time; the process ends at once instead.
    std::mem::forget(group);
    result
}

/// A store that is not there any more must not be made anew in its place.
fn check_store(task: &Task) -> Result<(), Failure> {
    match task.job_dir.ancestors().nth(2) {
        Some(root) if !task.store_id.is_empty() => {
            store_probe::check(root, &task.store_id).map_err(Failure::InputMissing)
        }
        _ => Ok(()),
    }
}

fn read_task() -> Result<Task, Failure> {
    let mut line = String::new();
    io::stdin().read_line(&mut line).map_err(machine)?;
    serde_json::from_str(&line)
        .map_err(|error| Failure::Unknown(format!("the rank cannot read its task from its worker: {error}")))
}

fn machine(error: impl std::fmt::Display) -> Failure {
    Failure::Machine(error.to_string())
}
