//! Whether a job that was run anew gave the same: bits on the same kind of device, else figures within a tolerance.

use serde_json::Value as Json;

use super::{
    environment::kind_differences,
    facts::{Artifact, Receipt, Replayed},
};

/// How far a figure may be off where devices are of different kinds, as a share of the larger one.
const TOLERANCE: f64 = 0.02;

/// Figures of time and memory: no two runs have the same.
const OF_TIME: [&str; 4] = ["seconds", "images_per_second", "checkpoint_stall_seconds", "peak_memory_bytes"];

/// What came of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// States at equal steps that both have, artifacts and figures: how many are equal bit for bit.
    pub equal: usize,
    /// Those that are not, in words: states by step first.
    pub unequal: Vec<String>,
    /// In what the devices were of other kinds; empty where equal bits are promised.
    pub kinds: Vec<String>,
    /// Nothing is unequal; or, on another kind of device, no figure is further off than the tolerance.
    pub holds: bool,
}

impl Comparison {
    /// In one sentence.
    pub fn verdict(&self) -> String {
        let kinds = self.kinds.join("; ");
        match (self.unequal.is_empty(), self.kinds.is_empty(), self.holds) {
            (true, true, _) => "the same bits, on the same kind of device".to_owned(),
            (true, false, _) => format!("the same bits, although the kind of device is another ({kinds})"),
            (false, true, _) => "other bits, on the same kind of device: it is not reproduced".to_owned(),
            (false, false, true) => format!(
                "other bits, as the kind of device is another ({kinds}); all figures are within {}% of each other",
                TOLERANCE * 100.0
            ),
            (false, false, false) => format!(
                "other bits, as the kind of device is another ({kinds}), and a figure is further off than {}%",
                TOLERANCE * 100.0
            ),
        }
    }
}

/// Compares what `again` gave with what `first` gave. Both must be of the same content.
pub fn compare(first: &Receipt, again: &Receipt) -> Comparison {
    let (mut equal, mut unequal, mut off) = (0, Vec::new(), false);
    let mut note = |same: bool, what: String| match same {
        true => equal += 1,
        false => unequal.push(what),
    };
    for state in first.checkpoints.iter().filter(|state| !state.state_sha256.is_empty()) {
        let twin = again.checkpoints.iter().find(|twin| twin.step == state.step && !twin.state_sha256.is_empty());
        if let Some(twin) = twin {
            note(twin.state_sha256 == state.state_sha256, format!("the state at step {}", state.step));
        }
    }
    // A replay exports nothing, and has the figures of what it evaluated again alone.
    let replayed = again.job.replayed;
    for artifact in first.artifacts.iter().filter(|_| replayed.is_none()) {
        let twin = again.artifacts.iter().find(|twin| is_twin(twin, artifact));
        note(twin.is_some_and(|twin| twin.sha256 == artifact.sha256), format!("the file {}", artifact.name));
    }
    for (name, value) in first.results.iter().filter(|(name, _)| !OF_TIME.contains(&name.as_str())) {
        let now = again.results.get(name);
        if now.is_none() && replayed.is_some() {
            continue;
        }
        let shown = now.map_or_else(|| "none".to_owned(), Json::to_string);
        note(now == Some(value), format!("the figure {name}: {value}, then {shown}"));
        off |= !now.is_some_and(|now| is_near(value, now));
    }
    if let Some(Replayed { until_step, .. }) = replayed
        && !again.checkpoints.iter().any(|state| state.step == until_step && !state.state_sha256.is_empty())
    {
        note(false, format!("the state at step {until_step}: it was not reached"));
        off = true;
    }
    if let Some(Replayed { from_step, .. }) = replayed
        && again.attempts.iter().any(|attempt| attempt.training_at.is_some() && attempt.first_step < from_step)
    {
        let why = "it is damaged, or cannot be read, and the steps before it were trained anew";
        note(false, format!("the checkpoint at step {from_step}: {why}"));
        off = true;
    }
    let mut kinds: Vec<String> = Vec::new();
    let (before, after) = (first.environments(), again.environments());
    for (one, other) in before.iter().flat_map(|one| after.iter().map(move |other| (one, other))) {
        kinds.extend(kind_differences(one, other));
    }
    if before.is_empty() || after.is_empty() {
        kinds.push("what it ran on is not known".to_owned());
    }
    kinds.sort();
    kinds.dedup();
    let holds = unequal.is_empty() || (!kinds.is_empty() && !off);
    Comparison { equal, unequal, kinds, holds }
}

fn is_twin(one: &Artifact, other: &Artifact) -> bool {
    (&one.kind, &one.name) == (&other.kind, &other.name)
}

fn is_near(one: &Json, other: &Json) -> bool {
    match (one.as_f64(), other.as_f64()) {
        (Some(one), Some(other)) => (one - other).abs() <= TOLERANCE * one.abs().max(other.abs()),
        _ => one == other,
    }
}
