//! `tandem-worker rank`: the process that trains. Started by `tandem-worker run`, never by hand.
//!
//! In: one JSON line on stdin (a [`Task`]), for ranks other than 0 a second one (a [`Meeting`]) once rank 0 listens.
//! Out: events as JSON lines on stdout, the log on stderr with the reason of a failure as its last line, and an exit
//! code (`exit_code`).
//!
//! SIGTERM ends the process on the spot until training begins, for nothing is lost then; from there on it means:
//! finish the step, write a checkpoint, leave.

mod life;
mod meet;

use std::{
    fs::File,
    io::{self, BufRead, Write},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, atomic::AtomicBool},
};

use clap::Args;
use signal_hook::consts::SIGTERM;
use tandem_learn::{
    Failure,
    report::{Event, Outcome, Report},
    task::{Meeting, Task},
};

use crate::exit_code;
pub(crate) use meet::open_cuda;

#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct RankArgs {
    /// The process that this one dies with.
    #[arg(long)]
    worker_pid: i32,
}

/// Runs one rank and ends the process.
pub(crate) fn main(args: RankArgs) -> ! {
    life::say_panics_in_one_line();
    let code = match catch_unwind(AssertUnwindSafe(|| train(args))) {
        Ok(Ok(Outcome::Finished)) => exit_code::FINISHED,
        Ok(Ok(Outcome::Stopped)) => exit_code::STOPPED,
        Ok(Err(failure)) => {
            let (code, Failure::Job(reason) | Failure::Machine(reason)) = match failure {
                Failure::Job(_) => (exit_code::JOB_FAILED, failure),
                Failure::Machine(_) => (exit_code::MACHINE_FAILED, failure),
            };
            eprintln!("{}", reason.replace('\n', " "));
            code
        }
        Err(_panic) => exit_code::INTERNAL,
    };
    // Without libtorch's destructors: with a collective under way, or a thread of Gloo's still alive, they crash.
    signal_hook::low_level::exit(code)
}

fn train(args: RankArgs) -> Result<Outcome, Failure> {
    life::die_with(args.worker_pid).map_err(machine)?;
    let mut events = Events(life::take_stdout().map_err(machine)?);
    let mut stdin = io::stdin().lock();
    let task: Task = read_line(&mut stdin, "its task")?;
    events.event(Event::Phase { name: "started".to_owned(), first_step: 0 });

    let group = meet::group(&task, &mut events, || read_line::<Meeting>(&mut stdin, "the meeting point"))?;
    let stop = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(SIGTERM, Arc::clone(&stop)).map_err(machine)?;
    let result = tandem_learn::run(&task, &group, &mut events, &stop);
    if task.rank == 0 && task.device == "cpu" && matches!(result, Ok(Outcome::Finished)) {
        // What the estimate of memory is held against.
        life::peak_memory().into_iter().for_each(|bytes| {
            events.event(Event::Result { name: "peak_memory_bytes".to_owned(), value: bytes as f64 });
        });
    }
    // Dropping a group whose peers are gone can block for long; the process ends at once instead.
    std::mem::forget(group);
    result
}

fn read_line<T: serde::de::DeserializeOwned>(stdin: &mut impl BufRead, what: &str) -> Result<T, Failure> {
    let mut line = String::new();
    stdin.read_line(&mut line).map_err(machine)?;
    serde_json::from_str(&line)
        .map_err(|error| Failure::Job(format!("the rank cannot read {what} from its worker: {error}")))
}

fn machine(error: impl std::fmt::Display) -> Failure {
    Failure::Machine(error.to_string())
}

/// The pipe to the worker: each event is written whole, at once.
struct Events(File);

impl Report for Events {
    fn event(&mut self, event: Event) {
        let mut line = serde_json::to_vec(&event).unwrap_or_default();
        line.push(b'\n');
        // The pipe breaks only with the worker, and with it this process ends.
        let _ = self.0.write_all(&line);
    }
}
