//! `tandem-worker local`: runs an experiment file from its first job to its last in this one process, without coordinator
//! or database. The next call goes on where this one stopped.

mod ledger;

use std::{
    path::PathBuf,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use clap::Args;
use signal_hook::consts::{SIGINT, SIGTERM};
use tandem_collective::ProcessGroup;
use tandem_domain::{
    LEARN_VERSION,
    plan::{PlannedJob, plan},
    receipt::Environment,
    spec::JobSpec,
};
use tandem_learn::{
    Failure,
    report::{Event, Outcome},
    task::Task,
};
use tandem_proto::v1;

use crate::{
    config,
    device::{Device, DeviceName},
    exit_code,
    rank::{self, environment::environment},
    surroundings::Surroundings,
};
use ledger::Ledger;

/// Run an experiment file in this process, on one device, without a coordinator.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Example: ten minutes at a time, until it says that everything is done
  tandem-worker local examples/table1.toml --data /srv/data --out table1 --device cuda:0 --minutes 9

Exit codes: 0 everything is done; 75 time was over or a signal came, call it again; 74 this machine is at fault
(a full disk) or 66 a file is not there, mend it and call again; 65 a job cannot succeed; 70 the cause is not known.
Results go to stdout, one `job figure value` a line; progress to stderr.
`tandem import table1 examples/table1.toml` brings them into a house.")]
pub(crate) struct LocalArgs {
    /// The experiment file.
    file: PathBuf,
    /// Folder of checkpoints, artifacts and what is done so far.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Folder with the datasets.
    #[arg(long, env = "TANDEM_DATA", value_name = "DIR", default_value = "data")]
    data: PathBuf,
    /// cpu or cuda:N.
    #[arg(long, env = "TANDEM_DEVICE", default_value = "cpu")]
    device: DeviceName,
    /// Stop at a checkpoint after so many minutes.
    #[arg(long, value_name = "N")]
    minutes: Option<f64>,
}

pub(crate) fn main(args: &LocalArgs) -> ExitCode {
    match run(args) {
        Ok(Outcome::Finished) => ExitCode::SUCCESS,
        Ok(Outcome::Stopped) => {
            eprintln!("tandem-worker: not everything is done yet; the same command goes on from here");
            exit(exit_code::STOPPED)
        }
        Err(error) => {
            eprintln!("tandem-worker: {error:#}");
            exit(error.downcast_ref::<Failure>().map_or(exit_code::JOB_FAILED, exit_code::of))
        }
    }
}

fn exit(code: i32) -> ExitCode {
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}

fn run(args: &LocalArgs) -> anyhow::Result<Outcome> {
    let text = std::fs::read_to_string(&args.file).with_context(|| format!("cannot read {}", args.file.display()))?;
    let jobs = plan(&text, &args.file.display().to_string(), LEARN_VERSION)?.jobs;
    if let Some((job, refusal)) = jobs.iter().find_map(|job| Some((job, job.refusal.as_ref()?))) {
        bail!("job `{}`: {refusal}", job.spec.name);
    }
    rank::open_cuda(&args.device.to_string())?;

    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&stop))?;
    }
    if let Some(minutes) = args.minutes {
        let (stop, time) = (Arc::clone(&stop), Duration::try_from_secs_f64(60.0 * minutes).context("--minutes")?);
        thread::spawn(move || {
            thread::sleep(time);
            stop.store(true, Ordering::Relaxed);
        });
    }
    let surroundings = Surroundings::read_here("local".to_owned(), config::host_name(), described(args.device));
    let mut outcome = Outcome::Finished;
    for job in &jobs {
        if outcome == Outcome::Finished {
            outcome = run_job(args, job, &surroundings, &stop).with_context(|| format!("job `{}`", job.spec.name))?;
        }
    }
    for job in &jobs {
        for (figure, value) in Ledger::open(&args.out, job)?.results() {
            println!("{}\t{figure}\t{value}", job.spec.name);
        }
    }
    Ok(outcome)
}

fn run_job(
    args: &LocalArgs,
    job: &PlannedJob,
    surroundings: &Surroundings,
    stop: &AtomicBool,
) -> anyhow::Result<Outcome> {
    let mut ledger = Ledger::open(&args.out, job)?;
    if ledger.is_finished() {
        return Ok(Outcome::Finished);
    }
    if stop.load(Ordering::Relaxed) {
        return Ok(Outcome::Stopped);
    }
    let mut inputs = Vec::new();
    for name in &job.spec.inputs {
        inputs.extend(Ledger::read(&args.out, name)?.artifacts());
    }
    ledger.begin(complete(surroundings, environment(job.spec.threads)?));
    let task = Task {
        job_id: job.spec.name.clone(),
        attempt_id: "local".to_owned(),
        fence: 1,
        rank: 0,
        world_size: 1,
        spec: JobSpec::clone(&job.spec),
        device: args.device.to_string(),
        data_dir: args.data.clone(),
        stored_data: None,
        replay: None,
        job_dir: ledger.folder().to_owned(),
        inputs,
        images: String::new(),
        store_id: String::new(),
        checkpoints: ledger.checkpoints(),
        host: "127.0.0.1".to_owned(),
        meet_ports: None,
        timing: String::new(),
    };
    let mut last_print = Instant::now();
    let mut broken = None;
    let mut record = |event: Event| {
        print_event(&job.spec.name, &event, &mut last_print);
        // A training whose results cannot be saved must not go on for hours.
        if let Err(error) = ledger.record(event) {
            broken = Some(error);
            stop.store(true, Ordering::Relaxed);
        }
    };
    let outcome = tandem_learn::run(&task, &ProcessGroup::alone(), &mut record, stop)?;
    match broken {
        Some(error) => Err(error),
        None if outcome == Outcome::Finished => ledger.finish().map(|()| outcome),
        None => Ok(outcome),
    }
}

/// A card may train where its driver's library is not there to describe it, and CUDA may count cards in another order than that
/// library: which of several it was is left open.
fn described(name: DeviceName) -> v1::Device {
    let found = Device::open(name, None, None, None).map(|device| device.description);
    let device = found.unwrap_or_else(|error| {
        eprintln!("tandem-worker: {error:#}; the results will not say on which card they were computed");
        v1::Device { kind: "cuda".to_owned(), ..v1::Device::default() }
    });
    if name == DeviceName::Cpu {
        return device;
    }
    let name = if std::env::var_os("CUDA_VISIBLE_DEVICES").is_none() { device.name } else { String::new() };
    v1::Device { kind: device.kind, name, driver: device.driver, ..v1::Device::default() }
}

fn complete(surroundings: &Surroundings, environment: Environment) -> Environment {
    let mut event = environment.into();
    surroundings.complete(&mut event);
    (&event).into()
}

/// Prints what a person wants to see of an event: progress every few seconds, the rest at once.
fn print_event(job: &str, event: &Event, last_print: &mut Instant) {
    match event {
        Event::Phase { name, first_step } => eprintln!("{job}: {name} (from step {first_step})"),
        Event::Progress { step, steps, images_per_second, seconds_left, .. }
            if last_print.elapsed() > Duration::from_secs(5) =>
        {
            *last_print = Instant::now();
            eprintln!("{job}: step {step} of {steps}, {images_per_second:.0} images/s, {seconds_left:.0} s left");
        }
        Event::Result { name, value } => eprintln!("{job}: {name} = {value}"),
        Event::Note { message, .. } => eprintln!("{job}: {message}"),
        Event::Log { line } => eprintln!("{job}: {line}"),
        _ => {}
    }
}
