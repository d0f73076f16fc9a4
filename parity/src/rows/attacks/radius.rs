//! Row 6: attacks at one radius, and the best of ours beside any single one of theirs.

use anyhow::{Context, Result};
use serde_json::json;
use tandem_domain::spec::{Attack, AttackLoss, Norm};
use tandem_learn::attack::apgd::{Apgd, ApgdLoss};
use tandem_learn::attack::fixed_radius::FixedRadius;
use tandem_learn::attack::pgd::Pgd;
use tandem_learn::attack::square::Square;
use tandem_learn::attack::{Adversarials, best_of, fab};
use tandem_learn::classifier::Classifier;
use tch::{Kind, Tensor};

use super::peers::Peers;
use super::subject::{Sample, Trained};
use crate::environment::{Environment, SEED};
use crate::row::{Bound, Row, Unit};

/// Radii at which an undefended network withstands on about half of its images, where a difference of attacks shows.
const RADII: [(Norm, &str, f64); 2] = [(Norm::L2, "l2", 0.15), (Norm::Linf, "linf", 1.0 / 255.0)];
/// By how much the shares of broken images may differ, or by one image where that is more: Square draws at random.
const VERDICTS: f64 = 0.005;

const PGD_STEPS: u32 = 20;
/// Of the radius.
const PGD_STEP: f64 = 0.1;
const APGD_STEPS: u32 = 25;
const APGD_T_STEPS: u32 = 8;
const QUERIES: u32 = 400;
const FAB_STEPS: u32 = 10;
/// Of each attack in best-of: as many as in the longest of the peers' runs at a fixed radius, except Square's.
const BEST_OF_STEPS: u32 = APGD_STEPS;

/// What each run of a peer broke.
struct Runs<'a> {
    peers: Peers,
    /// Its name, bool `[B]`.
    broken: Vec<(String, Tensor)>,
    net: &'a Classifier,
}

pub(super) fn compare(env: &Environment, trained: &Trained) -> Result<Vec<Row>> {
    let sample = Sample::first(env, env.images as usize)?;
    let peers = Peers::begin(env, trained, &sample.images, &sample.labels)?;
    let accuracy = peers.accuracy;
    let mut runs = Runs { peers, broken: Vec::new(), net: &trained.classifier };
    let ours = share(&sample.attack(|batch| Adversarials::clean(&trained.classifier, batch)).gt(0.0));
    let note = format!("ours {:.2} %, by load.py {:.2} %; {}", 100.0 * ours, 100.0 * accuracy, env.dataset());
    let what = format!("accuracy on {} clean images", sample.ids.len());
    // Theirs is a mean in f32.
    let mut rows = vec![Row::new(6, what, (ours - accuracy).abs(), Bound::AtMost(1e-6), Unit::Percent, note)];
    for (norm, name, radius) in RADII {
        rows.extend(fixed_radius(&mut runs, &sample, norm, name, radius)?);
        rows.push(best(&mut runs, &sample, norm, name, radius)?);
    }
    Ok(rows)
}

/// PGD, Auto-PGD, Square and FAB at one radius.
fn fixed_radius(runs: &mut Runs<'_>, sample: &Sample, norm: Norm, name: &str, radius: f64) -> Result<Vec<Row>> {
    let net = runs.net;
    let pgd = Pgd {
        steps: PGD_STEPS,
        step: PGD_STEP,
        random_start: false,
        restarts: 1,
        loss: AttackLoss::CrossEntropy,
        seed: SEED,
    };
    let apgd = |steps, loss| Apgd { steps, restarts: 1, loss, seed: SEED };
    let square = Square { queries: QUERIES, seed: SEED, ..Square::default() };
    let fab = fab::Settings { iterations: FAB_STEPS, seed: SEED, ..fab::Settings::default() };
    let at = |attack: &dyn FixedRadius| sample.attack(|batch| attack.all_runs(net, batch, norm, radius));
    type Case<'a> = (&'static str, &'static [&'static str], u32, Box<dyn Fn() -> Tensor + 'a>);
    let cases: [Case<'_>; 5] = [
        ("pgd", &["foolbox", "torchattacks"], PGD_STEPS, Box::new(|| at(&pgd))),
        ("apgd", &["torchattacks"], APGD_STEPS, Box::new(|| at(&apgd(APGD_STEPS, ApgdLoss::CrossEntropy)))),
        ("apgd-t", &["torchattacks"], APGD_T_STEPS, Box::new(|| at(&apgd(APGD_T_STEPS, ApgdLoss::TargetedDlr)))),
        ("square", &["torchattacks"], QUERIES, Box::new(|| at(&square))),
        ("fab", &["torchattacks"], FAB_STEPS, Box::new(|| sample.attack(|batch| fab::run(net, batch, norm, &fab)))),
    ];
    let mut rows = Vec::new();
    for (attack, libraries, steps, ours) in &cases {
        eprintln!("  ours: {attack} in {name}");
        let ours = ours().le(radius);
        for library in *libraries {
            let settings = json!({ "attack": attack, "radius": radius, "steps": steps, "step": PGD_STEP });
            let (wrong, distance, version) = runs.peers.attack(library, name, settings)?;
            // An example beyond the radius, by more than rounding, does not count.
            let theirs = wrong.logical_and(&distance.le(radius * runs.peers.radius_factor * (1.0 + 1e-4)));
            let note = format!(
                "misclassified: ours {:.2} %, theirs {:.2} %, verdicts equal on {:.2} %; {steps} steps",
                100.0 * share(&ours),
                100.0 * share(&theirs),
                100.0 * share(&ours.eq_tensor(&theirs))
            );
            let what = format!("{attack} in {name} at {radius:.4}: {version}");
            eprintln!("    {note}");
            // Shares are f32.
            let bound = Bound::AtMost(VERDICTS.max((1.0 + 1e-4) / sample.ids.len() as f64));
            rows.push(Row::new(6, what, (share(&ours) - share(&theirs)).abs(), bound, Unit::Percent, note));
            runs.broken.push((format!("{library}'s {attack} in {name}"), theirs));
        }
    }
    Ok(rows)
}

/// The best of ours breaks no fewer images than any single run of a peer.
fn best(runs: &mut Runs<'_>, sample: &Sample, norm: Norm, name: &str, radius: f64) -> Result<Row> {
    let spec: Attack = serde_json::from_value(json!({
        "attack": "best-of", "norm": norm, "radii": [radius], "steps": BEST_OF_STEPS,
    }))?;
    eprintln!("  ours: best-of in {name}");
    let net = runs.net;
    let ours = sample.attack(|batch| best_of::attack(net, batch, &spec, SEED, None).found).le(radius);
    let strongest = runs.broken.iter().filter(|(run, _)| run.ends_with(&format!("in {name}")));
    let strongest = strongest.max_by(|(_, a), (_, b)| share(a).total_cmp(&share(b)));
    let (run, theirs) = strongest.context("a peer has run")?;
    let note = format!("ours {:.2} %; the strongest peer: {run}, {:.2} %", 100.0 * share(&ours), 100.0 * share(theirs));
    eprintln!("    {note}");
    let what = format!("best-of in {name} at {radius:.4}: broken beyond any single peer run");
    Ok(Row::new(6, what, share(&ours) - share(theirs), Bound::AtLeast(0.0), Unit::Percent, note))
}

/// Of true elements.
fn share(verdicts: &Tensor) -> f64 {
    verdicts.to_kind(Kind::Double).mean(Kind::Double).double_value(&[])
}
