//! Row 6: the smallest distances, by ours and by Foolbox's attacks of minimum norm, in all four norms.

use anyhow::Result;
use serde_json::json;
use tandem_domain::spec::{Norm, Plb};
use tandem_learn::attack::{Adversarials, Batch, fmn, plb};
use tch::{Kind, Tensor};

use super::peers::Peers;
use super::subject::{Sample, Trained};
use crate::args::Part;
use crate::environment::{Environment, SEED};
use crate::row::{Bound, Row, Unit};

/// Images: those of the other rows would take Foolbox an hour in l0 and l1.
const IMAGES: u32 = 250;
/// Of FMN and DDN, ours and theirs.
const STEPS: u32 = 200;
/// By how much a median may be larger.
const FMN: f64 = 1.02;
const PLB: f64 = 1.10;

pub(super) fn compare(env: &Environment, trained: &Trained) -> Result<Vec<Row>> {
    let sample = Sample::first(env, env.images.min(IMAGES) as usize)?;
    // Paler images are nearer to another class.
    let shown = if env.breaks(Part::Attacks) { &sample.images * 0.6 + 0.2 } else { sample.images.shallow_clone() };
    let mut peers = Peers::begin(env, trained, &shown, &sample.labels)?;
    let net = &trained.classifier;
    let clean = sample.attack(|batch| Adversarials::clean(net, batch));
    let mut rows = Vec::new();
    for (norm, name) in [(Norm::L0, "l0"), (Norm::L1, "l1"), (Norm::L2, "l2"), (Norm::Linf, "linf")] {
        let mut theirs = Vec::new();
        for attack in ["fmn", "ddn"].into_iter().take(if norm == Norm::L2 { 2 } else { 1 }) {
            let (wrong, distance, _) = peers.attack("foolbox", name, json!({ "attack": attack, "steps": STEPS }))?;
            let found = distance.masked_fill(&wrong.logical_not(), f64::INFINITY).masked_fill(&clean.eq(0.0), 0.0);
            theirs.push((attack, median(&found)));
        }
        let each: Vec<String> = theirs.iter().map(|(attack, median)| format!("{attack} {median:.4}")).collect();
        let smaller = theirs.iter().map(|(_, median)| *median).fold(f64::INFINITY, f64::min);
        let fmn = fmn::Settings { steps: STEPS, seed: SEED, ..fmn::Settings::default() };
        let plb = plb::Settings {
            constants: Plb::default(),
            steps: plb::Steps::Relative,
            noise: 0.01,
            seed: SEED,
            restart: 0,
        };
        type Attack<'a> = Box<dyn Fn(&Batch<'_>) -> Adversarials + 'a>;
        let ours: [(&str, f64, Attack<'_>); 2] = [
            ("FMN", FMN, Box::new(|batch| fmn::run(net, batch, norm, &fmn))),
            ("PLB", PLB, Box::new(|batch| plb::run(net, batch, norm, &plb, None))),
        ];
        for (attack, bound, run) in &ours {
            eprintln!("  ours: {attack} in {name}");
            let distances = sample.attack(run);
            let ours = median(&distances);
            // One element is the least step of l0.
            let allowed = if norm == Norm::L0 { 1.0 } else { 0.0 };
            let note = format!(
                "ours {ours:.4}; Foolbox {}, {STEPS} steps each; median of {} images, {} clean errors",
                each.join(", "),
                sample.ids.len(),
                clean.eq(0.0).sum(Kind::Int64).int64_value(&[])
            );
            eprintln!("    {note}");
            let what = format!("{attack} in {name}: median distance over the smallest of Foolbox's");
            rows.push(Row::new(6, what, (ours - allowed) / smaller, Bound::AtMost(*bound), Unit::Times, note));
        }
    }
    Ok(rows)
}

fn median(distances: &Tensor) -> f64 {
    distances.to_kind(Kind::Double).median().double_value(&[])
}
