//! Attacks on a classifier that `learn` has trained: PGD against torchattacks, ProxLogBarrier against a loop like that of
//! its reference implementation, FMN against Foolbox.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tandem_domain::spec::Norm;
use tandem_learn::task::InputFile;

use crate::child::Child;
use crate::interleave::{Pair, interleave, median, speeds};
use crate::machine;
use crate::row::{Goal, Row, Unit};
use crate::settings::Settings;
use crate::side::{AttackSetup, ClassifierSetup, PgdReply};
use crate::stats::Summary;

const THREADS: u32 = 2;
/// Steps of the classifier's training, after which it classifies nine of ten images of `shapes` correctly.
const TRAINING: u32 = 300;
const IMAGES: u32 = 1000;
const BATCH: u32 = 250;
const STEPS: u32 = 20;
const STEP: f64 = 0.125;
/// A radius at which hardly any image withstands.
const BROKEN: f64 = 8.0 / 255.0;
/// The share of images whose verdicts may differ, because torchattacks judges only the last iterate and ours any.
const VERDICTS: f64 = 0.005;
/// Few are enough, because the goals are far from 1.
const PAIRS: usize = 3;
/// Few, because the reference is slow.
const PLB_IMAGES: u32 = 25;
const PLB_PAIRS: usize = 2;
const FMN_IMAGES: u32 = 100;
/// Ours is as near in half as many.
const FMN_STEPS: [u32; 2] = [50, 100];
/// By how much the median of FMN's distances may be larger than Foolbox's; in l0 by an element as well.
const FMN_FARTHER: f64 = 1.02;

/// Which attack, each with a peer of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Pgd,
    Plb,
    Fmn,
}

pub(crate) fn measure(settings: &Settings, kind: Kind) -> Result<Vec<Row>> {
    let folder = tempfile::tempdir()?;
    let setup = ClassifierSetup { steps: TRAINING, images: IMAGES, threads: THREADS, folder: folder.path().to_owned() };
    machine::on_cores(THREADS, || {
        let classifier: InputFile = Child::ours("classifier", THREADS)?.ask(&setup)?;
        let setup = AttackSetup {
            classifier,
            images: IMAGES,
            batch: BATCH,
            threads: THREADS,
            steps: STEPS,
            step: STEP,
            relative: false,
            norm: Norm::Linf,
            radius: None,
            folder: folder.path().to_owned(),
        };
        match kind {
            Kind::Pgd => Ok(vec![
                pgd(settings, &setup, "attack/pgd-half", (0.4, 0.6), 1.5)?,
                pgd(
                    settings,
                    &AttackSetup { radius: Some(BROKEN), ..setup.clone() },
                    "attack/pgd-broken",
                    (0.0, 0.05),
                    3.0,
                )?,
            ]),
            Kind::Plb => Ok(vec![
                plb(
                    settings,
                    &AttackSetup { images: PLB_IMAGES, relative: true, ..setup.clone() },
                    "attack/plb",
                    "as `attack = \"plb\"` runs it,",
                    10.0,
                )?,
                // With the same steps on both sides, ours must only be no slower.
                plb(
                    settings,
                    &AttackSetup { images: PLB_IMAGES, ..setup.clone() },
                    "attack/plb-published",
                    "with the published steps",
                    1.0,
                )?,
            ]),
            Kind::Fmn => [Norm::L0, Norm::L1, Norm::L2, Norm::Linf]
                .into_iter()
                .map(|norm| fmn(settings, &AttackSetup { images: FMN_IMAGES, norm, ..setup.clone() }))
                .collect(),
        }
    })
}

/// The share of images that withstand must lie within `robust_range`.
fn pgd(settings: &Settings, setup: &AttackSetup, name: &str, robust_range: (f64, f64), goal: f64) -> Result<Row> {
    let mut ours = Child::ours("pgd", THREADS)?;
    let our: PgdReply = ours.ask(setup)?;
    let mut theirs = Child::peer(&settings.python, "pgd", THREADS)?;
    let their: PgdReply = theirs.ask(&AttackSetup { radius: Some(our.radius), ..setup.clone() })?;
    ensure!(
        our.fallen.len() == their.fallen.len(),
        "verdicts on {} and {} images",
        our.fallen.len(),
        their.fallen.len()
    );

    let images = our.fallen.len() as f64;
    let count = |which: fn(bool, bool) -> bool| {
        our.fallen.iter().zip(&their.fallen).filter(|&(&our, &their)| which(our, their)).count()
    };
    let (only_ours, only_theirs) = (count(|our, their| our && !their), count(|our, their| their && !our));
    let robust = count(|our, _| !our) as f64 / images;
    let differ = (only_ours + only_theirs) as f64 / images;
    let pairs = interleave(settings.pairs.min(PAIRS), || ours.block(1), || theirs.block(1))?;
    let void = if differ > VERDICTS {
        Some(format!(
            "{only_ours} images fall to ours alone and {only_theirs} to theirs alone: more than {VERDICTS} of all"
        ))
    } else if robust < robust_range.0 || robust > robust_range.1 {
        Some(format!("{:.1} % of the images withstand, not {} to {}", 100.0 * robust, robust_range.0, robust_range.1))
    } else {
        None
    };
    Ok(Row {
        name: name.into(),
        what: format!(
            "PGD-{STEPS} in linf on {IMAGES} images, {:.0} % of which withstand, against torchattacks {}",
            100.0 * robust,
            their.version
        ),
        goal: Goal::AtLeast(goal),
        unit: Unit::Times,
        value: speeds(&pairs)?,
        void,
        note: format!(
            "{:.2} against {:.2} s at radius {:.1}/255; resnet-tiny, {THREADS} threads; {only_ours} images fall to ours \
             alone, {only_theirs} to theirs; torchattacks' faster format: {}",
            median(&pairs, |pair| pair.ours),
            median(&pairs, |pair| pair.theirs),
            255.0 * our.radius,
            their.layout
        ),
        raw: json!({ "pairs": pairs, "radius": our.radius, "only_ours": only_ours, "only_theirs": only_theirs }),
    })
}

fn plb(settings: &Settings, setup: &AttackSetup, name: &str, which: &str, goal: f64) -> Result<Row> {
    let Distances { pairs, near, far } = distances(settings, "plb", [setup, setup])?;
    Ok(Row {
        name: name.into(),
        what: format!(
            "ProxLogBarrier {which} in l2 on {PLB_IMAGES} images, against its reference implementation's loop"
        ),
        goal: Goal::AtLeast(goal),
        unit: Unit::Times,
        value: speeds(&pairs)?,
        void: (far.is_nan() || near.is_nan() || near > far)
            .then(|| format!("our median distance is {near:.4}, theirs {far:.4}: not as near")),
        note: format!(
            "{:.2} against {:.1} s; median distance {near:.4} against {far:.4}; resnet-tiny, {THREADS} threads",
            median(&pairs, |pair| pair.ours),
            median(&pairs, |pair| pair.theirs),
        ),
        raw: json!({ "pairs": pairs, "median_distance": { "ours": near, "theirs": far } }),
    })
}

fn fmn(settings: &Settings, setup: &AttackSetup) -> Result<Row> {
    let [ours, theirs] = FMN_STEPS;
    let of = |steps| AttackSetup { steps, ..setup.clone() };
    let Distances { pairs, near, far } = distances(settings, "fmn", [&of(ours), &of(theirs)])?;
    let norm = format!("{:?}", setup.norm).to_lowercase();
    let allowed = FMN_FARTHER * far + if setup.norm == Norm::L0 { 1.0 } else { 0.0 };
    Ok(Row {
        name: format!("attack/fmn-{norm}"),
        what: format!("FMN of {ours} steps in {norm} on {FMN_IMAGES} images, against Foolbox's of {theirs}"),
        goal: Goal::AtLeast(2.0),
        unit: Unit::Times,
        value: speeds(&pairs)?,
        void: (far.is_nan() || near.is_nan() || near > allowed)
            .then(|| format!("our median distance is {near:.4}, theirs {far:.4}: not as near")),
        note: format!(
            "{:.2} against {:.2} s; median distance {near:.4} against {far:.4}; resnet-tiny, {THREADS} threads",
            median(&pairs, |pair| pair.ours),
            median(&pairs, |pair| pair.theirs),
        ),
        raw: json!({ "pairs": pairs, "median_distance": { "ours": near, "theirs": far } }),
    })
}

/// Two searches for the smallest distances, and the median of what each found.
struct Distances {
    pairs: Vec<Pair>,
    near: f64,
    far: f64,
}

/// By our side of a row and the peer's, each with a setup of its own.
fn distances(settings: &Settings, side: &str, [our, their]: [&AttackSetup; 2]) -> Result<Distances> {
    let mut ours = Child::ours(side, THREADS)?;
    let _: Value = ours.ask(our)?;
    let mut theirs = Child::peer(&settings.python, side, THREADS)?;
    let _: Value = theirs.ask(their)?;
    let (mut near, mut far) = (0.0, 0.0);
    let distances_of = |child: &mut Child, distance: &mut f64| {
        let (seconds, distances) = child.unit::<Vec<Option<f64>>>()?;
        // JSON has no infinity: null is an image that withstood.
        let distances: Vec<f64> = distances.into_iter().map(|distance| distance.unwrap_or(f64::INFINITY)).collect();
        *distance = Summary::of(&distances).context("no image was attacked")?.median;
        Ok(seconds)
    };
    let pairs = interleave(
        settings.pairs.min(PLB_PAIRS),
        || distances_of(&mut ours, &mut near),
        || distances_of(&mut theirs, &mut far),
    )?;
    Ok(Distances { pairs, near, far })
}
