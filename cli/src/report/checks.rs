//! Whether the attacks can be believed: what they checked of themselves, and by which conventions they count.

use tandem_proto::v1::Job;

use super::{
    document::{Block, Cell, Section, Table},
    facts::View,
};
use crate::render::{job::value, spread};

/// What is checked: name of the result, and what it says.
const GATES: [(&str, &str); 9] = [
    ("gate_zero_gradient", "gradients of zeros"),
    ("gate_large_radius", "broken in a large ball"),
    ("gate_more_steps", "gain of more steps"),
    ("gate_more_restarts", "gain of restarts"),
    ("gate_square_alone", "broken by Square alone"),
    ("gate_noise", "noise of logits"),
    ("gate_batch_alone", "in the batch and alone"),
    ("gate_zero_distance", "wrong distances"),
    ("gate_square_gain", "gain of Square"),
];

pub(crate) fn section(view: &View<'_>) -> Section {
    let attacks: Vec<&Job> = view.facts.jobs.iter().filter(|job| job.stage == "attack").collect();
    let checked: Vec<&&Job> = attacks.iter().filter(|job| value(&job.results, "gate_failed").is_some()).collect();
    if attacks.is_empty() {
        return Section::default();
    }
    let known: Vec<&(&str, &str)> =
        GATES.iter().filter(|(name, _)| checked.iter().any(|job| value(&job.results, name).is_some())).collect();
    let row = |job: &&&Job| {
        let failed = value(&job.results, "gate_failed").unwrap_or(0.0);
        let verdict = if failed > 0.0 { format!("{failed} failed") } else { "passed".to_owned() };
        let said = view.facts.gates.get(&job.id).map(|notes| notes.join("; ")).unwrap_or_default();
        let mut row = vec![Cell::with(job.name.clone(), view.id(job)), Cell::with(verdict, said)];
        row.extend(known.iter().map(|(name, _)| {
            value(&job.results, name).map_or_else(|| "-".into(), |value| Cell::from(spread::figure(name, value)))
        }));
        row
    };
    let mut heads = vec!["attack".to_owned(), "checks".to_owned()];
    heads.extend(known.iter().map(|(_, said)| (*said).to_owned()));
    let mut blocks = Vec::new();
    if checked.is_empty() {
        blocks.push(Block::Text("No attack has come to its checks yet.".to_owned()));
    } else {
        let caption = "Each attack checks, on a few images that are classified rightly, that it fails where the net is robust and not where \
                       gradients are masked or the attack does not work (Carlini et al. 2019). Shares are of these images. A figure whose \
                       checks failed may be too good."
            .to_owned();
        blocks.push(Block::Table(Table { caption, heads, rows: checked.iter().map(row).collect(), numbers_from: 2 }));
    }
    blocks.push(Block::List(conventions(view, &attacks)));
    Section::new("Checks and conventions of the attacks", blocks)
}

fn conventions(view: &View<'_>, attacks: &[&Job]) -> Vec<String> {
    let mut said = vec![
        "Distances are of pixels in [0, 1]. All attacked images count: one that is misclassified already has distance 0, one that the attack \
         could not break withstood."
            .to_owned(),
    ];
    let mut presets: Vec<String> = attacks.iter().filter_map(|job| view.specs.own(job, "preset")).collect();
    presets.sort();
    presets.dedup();
    if presets.iter().any(|preset| preset == "paper") {
        said.push("`preset = \"paper\"`: the steps that the paper's code ran, without its mistakes in which images are attacked.".to_owned());
    }
    said
}
