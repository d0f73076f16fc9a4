//! Row 6: one trained classifier, attacked by ours and by Foolbox and Torchattacks.

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::{Value, json};
use tandem_domain::spec::{Attack, AttackLoss, Norm, Plb};
use tandem_learn::attack::apgd::{Apgd, ApgdLoss};
use tandem_learn::attack::fixed_radius::FixedRadius;
use tandem_learn::attack::pgd::Pgd;
use tandem_learn::attack::square::Square;
use tandem_learn::attack::{Adversarials, best_of, fab, plb};
use tch::{Kind, Tensor};

use super::subject::{Sample, Trained};
use crate::args::Part;
use crate::environment::{Environment, SEED};
use crate::exchange::Exchange;
use crate::peer::Peer;
use crate::row::{Bound, Row, Unit};

/// Radii at which an undefended network withstands on about half of its images, where a difference of attacks shows.
const RADII: [(Norm, &str, f64); 2] = [(Norm::L2, "l2", 0.15), (Norm::Linf, "linf", 1.0 / 255.0)];
/// By how much the shares of broken images may differ.
const VERDICTS: Bound = Bound::AtMost(0.005);

const PGD_STEPS: u32 = 20;
/// Of the radius.
const PGD_STEP: f64 = 0.1;
const APGD_STEPS: u32 = 25;
const APGD_T_STEPS: u32 = 8;
const QUERIES: u32 = 400;
const FAB_STEPS: u32 = 10;
/// Of each attack in best-of: as many as in the longest of the peers' runs at a fixed radius, except Square's.
const BEST_OF_STEPS: u32 = APGD_STEPS;
const SMALLEST_STEPS: u32 = 100;

#[derive(Deserialize)]
struct BeginReply {
    accuracy: f64,
}

#[derive(Deserialize)]
struct AttackReply {
    version: String,
}

/// The peers, and what each of their runs broke.
struct Peers<'a> {
    peer: Peer,
    exchange: Exchange,
    radius_factor: f64,
    /// Which images a run at a fixed radius broke: its name, bool `[B]`.
    broken: Vec<(String, Tensor)>,
    trained: &'a Trained,
}

impl<'a> Peers<'a> {
    fn begin(env: &Environment, trained: &'a Trained, sample: &Sample) -> Result<(Self, f64)> {
        let exchange = Exchange::new()?;
        exchange.write("images", &[("images", &sample.images), ("labels", &sample.labels)])?;
        let mut peer = Peer::start(&env.python, "attacks")?;
        let request = json!({ "what": "begin", "folder": exchange.folder(), "path": trained.path, "seed": SEED });
        let begun: BeginReply = peer.ask(&request)?;
        let radius_factor = if env.breaks(Part::Attacks) { 1.2 } else { 1.0 };
        Ok((Self { peer, exchange, radius_factor, broken: Vec::new(), trained }, begun.accuracy))
    }

    /// Which images `library`'s attack breaks, and the distances of what it made.
    fn attack(&mut self, library: &str, norm: &str, mut settings: Value) -> Result<(Tensor, Tensor, String)> {
        let radius = settings.get("radius").and_then(Value::as_f64);
        settings["what"] = "attack".into();
        settings["library"] = library.into();
        settings["norm"] = norm.into();
        settings["seed"] = SEED.into();
        settings["folder"] = json!(self.exchange.folder());
        if let Some(radius) = radius {
            settings["radius"] = (radius * self.radius_factor).into();
        }
        eprintln!("  {library}: {} in {norm}", settings["attack"].as_str().unwrap_or_default());
        let reply: AttackReply = self.peer.ask(&settings)?;
        let found = self.exchange.read("found")?;
        let (wrong, distance) = (found.get("wrong")?.to_kind(Kind::Bool), found.get("distance")?.shallow_clone());
        Ok((wrong, distance, format!("{library} {}", reply.version)))
    }
}

pub(crate) fn compare(env: &Environment) -> Result<Vec<Row>> {
    let trained = Trained::get(env)?;
    let sample = Sample::first(env, env.images as usize)?;
    let (mut peers, accuracy) = Peers::begin(env, &trained, &sample)?;
    let ours = share(&sample.attack(|batch| Adversarials::clean(&trained.classifier, batch)).gt(0.0));
    let note = format!("ours {:.2} %, by load.py {:.2} %; {}", 100.0 * ours, 100.0 * accuracy, env.dataset());
    let what = format!("accuracy on {} clean images", sample.ids.len());
    // Theirs is a mean in f32.
    let mut rows = vec![Row::new(6, what, (ours - accuracy).abs(), Bound::AtMost(1e-6), Unit::Percent, note)];
    for (norm, name, radius) in RADII {
        rows.extend(fixed_radius(&mut peers, &sample, norm, name, radius)?);
        rows.push(best(&mut peers, &sample, norm, name, radius)?);
    }
    rows.push(smallest(&mut peers, &sample)?);
    Ok(rows)
}

/// PGD, Auto-PGD, Square and FAB at one radius.
fn fixed_radius(peers: &mut Peers<'_>, sample: &Sample, norm: Norm, name: &str, radius: f64) -> Result<Vec<Row>> {
    let net = &peers.trained.classifier;
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
    let runs: [Case<'_>; 5] = [
        ("pgd", &["foolbox", "torchattacks"], PGD_STEPS, Box::new(|| at(&pgd))),
        ("apgd", &["torchattacks"], APGD_STEPS, Box::new(|| at(&apgd(APGD_STEPS, ApgdLoss::CrossEntropy)))),
        ("apgd-t", &["torchattacks"], APGD_T_STEPS, Box::new(|| at(&apgd(APGD_T_STEPS, ApgdLoss::TargetedDlr)))),
        ("square", &["torchattacks"], QUERIES, Box::new(|| at(&square))),
        ("fab", &["torchattacks"], FAB_STEPS, Box::new(|| sample.attack(|batch| fab::run(net, batch, norm, &fab)))),
    ];
    let mut rows = Vec::new();
    for (attack, libraries, steps, ours) in &runs {
        eprintln!("  ours: {attack} in {name}");
        let ours = ours().le(radius);
        for library in *libraries {
            let settings = json!({ "attack": attack, "radius": radius, "steps": steps, "step": PGD_STEP });
            let (wrong, distance, version) = peers.attack(library, name, settings)?;
            // An example beyond the radius, by more than rounding, does not count.
            let theirs = wrong.logical_and(&distance.le(radius * peers.radius_factor * (1.0 + 1e-4)));
            let note = format!(
                "misclassified: ours {:.2} %, theirs {:.2} %, verdicts equal on {:.2} %; {steps} steps",
                100.0 * share(&ours),
                100.0 * share(&theirs),
                100.0 * share(&ours.eq_tensor(&theirs))
            );
            let what = format!("{attack} in {name} at {radius:.4}: {version}");
            eprintln!("    {note}");
            rows.push(Row::new(6, what, (share(&ours) - share(&theirs)).abs(), VERDICTS, Unit::Percent, note));
            peers.broken.push((format!("{library}'s {attack} in {name}"), theirs));
        }
    }
    Ok(rows)
}

/// The best of ours breaks no fewer images than any single run of a peer.
fn best(peers: &mut Peers<'_>, sample: &Sample, norm: Norm, name: &str, radius: f64) -> Result<Row> {
    let spec: Attack = serde_json::from_value(json!({
        "attack": "best-of", "norm": norm, "radii": [radius], "steps": BEST_OF_STEPS,
    }))?;
    eprintln!("  ours: best-of in {name}");
    let net = &peers.trained.classifier;
    let ours = sample.attack(|batch| best_of::attack(net, batch, &spec, SEED, None).found).le(radius);
    let strongest = peers.broken.iter().filter(|(run, _)| run.ends_with(&format!("in {name}")));
    let strongest = strongest.max_by(|(_, a), (_, b)| share(a).total_cmp(&share(b)));
    let (run, theirs) = strongest.context("a peer has run")?;
    let note = format!("ours {:.2} %; the strongest peer: {run}, {:.2} %", 100.0 * share(&ours), 100.0 * share(theirs));
    eprintln!("    {note}");
    let what = format!("best-of in {name} at {radius:.4}: broken beyond any single peer run");
    Ok(Row::new(6, what, share(&ours) - share(theirs), Bound::AtLeast(0.0), Unit::Percent, note))
}

/// ProxLogBarrier's median distance against the better of Foolbox's DDN and FMN.
fn smallest(peers: &mut Peers<'_>, sample: &Sample) -> Result<Row> {
    let settings =
        plb::Settings { constants: Plb::default(), steps: plb::Steps::Relative, noise: 0.01, seed: SEED, restart: 0 };
    eprintln!("  ours: plb in l2");
    let net = &peers.trained.classifier;
    let clean = sample.attack(|batch| Adversarials::clean(net, batch));
    let ours = sample.attack(|batch| plb::run(net, batch, Norm::L2, &settings, None));
    let mut theirs = Vec::new();
    for attack in ["ddn", "fmn"] {
        let settings = json!({ "attack": attack, "steps": SMALLEST_STEPS });
        let (wrong, distance, _) = peers.attack("foolbox", "l2", settings)?;
        let distance = distance.masked_fill(&wrong.logical_not(), f64::INFINITY).masked_fill(&clean.eq(0.0), 0.0);
        theirs.push((attack, median(&distance)));
    }
    let smaller = theirs.iter().map(|(_, median)| *median).fold(f64::INFINITY, f64::min);
    let each: Vec<String> = theirs.iter().map(|(attack, median)| format!("{attack} {median:.4}")).collect();
    let note =
        format!("ours {:.4}; {}, {SMALLEST_STEPS} steps each; all images counted", median(&ours), each.join(", "));
    eprintln!("    {note}");
    let what = "PLB in l2: median distance over the smaller of Foolbox's DDN and FMN";
    Ok(Row::new(6, what, median(&ours) / smaller, Bound::AtMost(1.10), Unit::Times, note))
}

/// Of true elements.
fn share(verdicts: &Tensor) -> f64 {
    verdicts.to_kind(Kind::Double).mean(Kind::Double).double_value(&[])
}

fn median(distances: &Tensor) -> f64 {
    distances.to_kind(Kind::Double).median().double_value(&[])
}
