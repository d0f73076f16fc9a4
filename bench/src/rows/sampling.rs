//! What looking at a card costs a training beside it. A worker that holds a card of a made-up box looks at it while something
//! trains on the same cores; no rank of it runs, and no coordinator is there.
//!
//! One look every five seconds costs less than two runs of the same training differ. So the card is looked at 25 times as often,
//! and what that costs is divided by as much.

use std::cell::RefCell;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::json;
use tandem_domain::spec::Encoder;
use tandem_domain::timing::SAMPLE;
use tandem_fake_nvml::BOX_FILE;
use tandem_fake_nvml::boxes::{Card, FakeBox, Process as OnCard};
use tandem_harness::{Process, Program, Signal};

use crate::child::Child;
use crate::interleave::{Pair, interleave, median};
use crate::machine;
use crate::row::{Goal, Row, Unit};
use crate::settings::Settings;
use crate::side::{StepSetup, TrainingReply};
use crate::stats::Summary;

const THREADS: u32 = 2;
const BATCH: u32 = 64;
/// As often as a worker looks at most, and at least.
const OFTEN: Duration = Duration::from_millis(200);
const SELDOM: Duration = Duration::from_secs(60);
/// A block takes about so long.
const BLOCK: Duration = Duration::from_secs(5);
/// A worker has found its card and begun to look by then.
const SETTLE: Duration = Duration::from_secs(3);

pub(crate) fn measure(settings: &Settings) -> Result<Vec<Row>> {
    let folder = tempfile::tempdir()?;
    let setup = StepSetup::new(Encoder::ResNetTiny, BATCH, THREADS, 1, folder.path());
    machine::on_cores(THREADS, || {
        let often = worker(settings, folder.path(), "often", OFTEN)?;
        let seldom = worker(settings, folder.path(), "seldom", SELDOM)?;
        let mut training = Child::ours("training", THREADS)?;
        let _: TrainingReply = training.ask(&setup)?;
        std::thread::sleep(SETTLE);
        // Warms up, too.
        training.block(3)?;
        let steps = ((BLOCK.as_secs_f64() / (training.block(5)? / 5.0)).ceil() as u64).max(1);

        let training = RefCell::new(training);
        let beside = |runs: &Process, stands: &Process| -> Result<f64> {
            signal(stands, Signal::SIGSTOP)?;
            signal(runs, Signal::SIGCONT)?;
            training.borrow_mut().block(steps)
        };
        let pairs = interleave(settings.pairs, || beside(&often, &seldom), || beside(&seldom, &often))?;
        Ok(vec![row(&pairs, steps)?])
    })
}

/// How much of what was measured looks at the usual rate cost.
fn share() -> f64 {
    let rate = |every: Duration| 1.0 / every.as_secs_f64();
    rate(SAMPLE) / (rate(OFTEN) - rate(SELDOM))
}

fn row(pairs: &[Pair], steps: u64) -> Result<Row> {
    let costs: Vec<f64> = pairs.iter().map(|pair| 100.0 * (pair.ours / pair.theirs - 1.0) * share()).collect();
    let rate = |seconds: fn(&Pair) -> f64| median(pairs, |pair| (steps * u64::from(BATCH)) as f64 / seconds(pair));
    Ok(Row {
        name: "sampling".into(),
        what: format!("Looking at a card every {} s: what it costs a training on {THREADS} cores", SAMPLE.as_secs()),
        goal: Goal::AtMost(0.5),
        unit: Unit::Percent,
        value: Summary::of(&costs).context("no pair was measured")?,
        void: None,
        note: format!(
            "{:.0} images/s beside 5 looks a second, {:.0} beside one a minute; that difference times {:.3}",
            rate(|pair| pair.ours),
            rate(|pair| pair.theirs),
            share()
        ),
        raw: json!({ "steps_a_block": steps, "pairs": pairs, "share": share() }),
    })
}

/// A worker on a card with three processes, which looks at it so often.
fn worker(settings: &Settings, folder: &Path, name: &str, every: Duration) -> Result<Process> {
    let processes = [1, std::process::id(), 2].map(|pid| OnCard { pid, memory: Some(100 << 20) }).to_vec();
    let file = folder.join("box.json");
    FakeBox { cards: vec![Card { processes, ..Card::default() }], ..FakeBox::default() }.write(&file)?;
    // Cargo puts a library that others need beside the tests.
    let library = [settings.bin_dir.clone(), settings.bin_dir.join("deps")]
        .map(|folder| folder.join("libtandem_fake_nvml.so"))
        .into_iter()
        .find(|library| library.is_file())
        .with_context(|| format!("found no libtandem_fake_nvml.so in {}", settings.bin_dir.display()))?;
    let (data, state) = (folder.join("data"), folder.join(name));
    std::fs::create_dir_all(&data)?;
    let every = format!("{}ms", every.as_millis());
    let mut worker = Program::new(name, &settings.binaries()?.worker, &folder.join(name).with_extension("log"))
        // Nobody listens there.
        .args(["run", "--server", "http://127.0.0.1:9", "--name", name, "--device", "cuda:0", "--sample-every", &every])
        .arg("--nvml")
        .arg(&library)
        .arg("--data")
        .arg(&data)
        .arg("--state")
        .arg(&state)
        .env(BOX_FILE, &file)
        .start()?;
    std::thread::sleep(Duration::from_millis(500));
    ensure!(worker.try_wait()?.is_none(), "a worker on a made-up card has ended at once");
    Ok(worker)
}

fn signal(process: &Process, signal: Signal) -> Result<()> {
    process.handle().context("a worker on a made-up card has ended")?.signal(signal);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_many_looks_cost_is_divided_by_how_many_more_they_are() {
        assert!((share() - 0.2 / (5.0 - 1.0 / 60.0)).abs() < 1e-12);
        let row = row(&[Pair { ours: 1.01, theirs: 1.0 }], 1).unwrap();
        assert!((row.value.median - share()).abs() < 1e-9, "a hundredth, of which a twenty-fifth is ours: {row:?}");
    }
}
