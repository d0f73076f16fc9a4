//! Peak memory of a process that does training steps and nothing else: against PyTorch's, and with recomputed graphs
//! against kept ones.

use anyhow::{Context, Result};
use serde::Serialize;
use serde_json::json;
use tandem_domain::spec::{Encoder, Recompute};

use super::step::largest_difference;
use crate::child::Child;
use crate::machine;
use crate::row::{Goal, Row, Unit};
use crate::settings::Settings;
use crate::side::{StepReply, StepSetup};
use crate::stats::Summary;

const THREADS: u32 = 2;
/// Few are enough: a peak differs by only a few megabytes from process to process.
const PROCESSES: usize = 3;
/// Gradients and momentum exist after the first step, so all memory is in use from the second on.
const STEPS: u32 = 3;
const PARITY: f64 = 1e-4;
const SHARDS: u32 = 4;

/// One process, in bytes.
#[derive(Clone, Copy, Debug, Serialize)]
struct Memory {
    /// With everything loaded, before the first step.
    before: f64,
    peak: f64,
}

pub(crate) fn measure(settings: &Settings, encoder: Encoder) -> Result<Vec<Row>> {
    let (name, title, batch) = match encoder {
        Encoder::ResNet50 => ("memory/resnet50", "ResNet-50, batch 16", 16),
        _ => ("memory/resnet18", "ResNet-18, batch 64", 64),
    };
    let folder = tempfile::tempdir()?;
    let mut setup = StepSetup {
        // A peer that tried both formats would hold memory for both.
        layout: Some("channels_last".into()),
        ..StepSetup::new(encoder, batch, THREADS, STEPS, folder.path())
    };
    // As in `step` for ResNet-18, to keep rounding errors small; memory does not depend on it.
    setup.recipe.learning_rate = 3e-6;
    machine::on_cores(THREADS, || {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        let (mut difference, mut version) = (0.0f64, String::new());
        for _ in 0..PROCESSES {
            let (our, memory) = steps(Child::ours("step", THREADS)?, &setup)?;
            ours.push(memory);
            let (their, memory) = steps(Child::peer(&settings.python, "step", THREADS)?, &setup)?;
            theirs.push(memory);
            let apart = largest_difference(&our.losses, &their.losses)?;
            difference = if apart.is_nan() { apart } else { difference.max(apart) };
            version = their.version;
        }
        let ratios: Vec<f64> = ours.iter().zip(&theirs).map(|(ours, theirs)| ours.peak / theirs.peak).collect();
        let median = |side: &[Memory], figure: fn(&Memory) -> f64| {
            let values: Vec<f64> = side.iter().map(figure).collect();
            Summary::of(&values).map_or(f64::NAN, |values| values.median / 1e6)
        };
        let (peak, step) = (|memory: &Memory| memory.peak, |memory: &Memory| memory.peak - memory.before);
        Ok(vec![Row {
            name: name.into(),
            what: format!("Peak memory of a process that trains {title}, as a multiple of PyTorch {version}'s"),
            goal: Goal::AtMost(1.0),
            unit: Unit::Times,
            value: Summary::of(&ratios).context("nothing was measured")?,
            void: (difference.is_nan() || difference > PARITY)
                .then(|| format!("losses differ by {difference:.1e} in {STEPS} steps: more than {PARITY:.0e}")),
            note: format!(
                "{:.0} against {:.0} MB, of which the step {:.0} against {:.0}; losses of {STEPS} steps within {difference:.1e}",
                median(&ours, peak),
                median(&theirs, peak),
                median(&ours, step),
                median(&theirs, step),
            ),
            raw: json!({ "bytes": { "ours": ours, "theirs": theirs } }),
        }])
    })
}

/// A step of ours that keeps the graph of one shard at a time, against one that keeps all.
pub(crate) fn recomputed() -> Result<Vec<Row>> {
    let folder = tempfile::tempdir()?;
    let kept = StepSetup { shards: SHARDS, ..StepSetup::new(Encoder::ResNet18, 64, THREADS, STEPS, folder.path()) };
    let mut again = kept.clone();
    again.recipe.recompute = Recompute::Shards;
    machine::on_cores(THREADS, || {
        let (mut ratios, mut notes, mut equal) = (Vec::new(), Vec::new(), true);
        for _ in 0..PROCESSES {
            let (our, ours) = steps(Child::ours("step", THREADS)?, &again)?;
            let (their, theirs) = steps(Child::ours("step", THREADS)?, &kept)?;
            equal &= our.losses == their.losses;
            ratios.push((ours.peak - ours.before) / (theirs.peak - theirs.before));
            notes.push((ours, theirs));
        }
        let (ours, theirs) = notes[0];
        let grown = |memory: Memory| (memory.peak - memory.before) / 1e6;
        Ok(vec![Row {
            name: "memory/recompute".into(),
            what: format!(
                "What a step of ResNet-18, batch 64 in {SHARDS} shards, adds to memory with `recompute = \"shards\"`, as a \
                 multiple of what it adds without"
            ),
            // A quarter of the graphs; weights, gradients and moments stay.
            goal: Goal::AtMost(0.6),
            unit: Unit::Times,
            value: Summary::of(&ratios).context("nothing was measured")?,
            void: (!equal).then(|| "the losses are not the same bits".to_owned()),
            note: format!(
                "{:.0} against {:.0} MB; losses of {STEPS} steps in the same bits",
                grown(ours),
                grown(theirs)
            ),
            raw: json!({ "bytes": notes }),
        }])
    })
}

/// Runs the first steps in a new process, which then ends.
fn steps(mut child: Child, setup: &StepSetup) -> Result<(StepReply, Memory)> {
    let reply: StepReply = child.ask(setup)?;
    let memory = Memory { before: reply.resident_before, peak: child.peak_bytes()? };
    Ok((reply, memory))
}
