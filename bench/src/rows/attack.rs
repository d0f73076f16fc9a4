//! Attacks on a classifier that `learn` has trained: PGD against torchattacks, ProxLogBarrier against its reference
//! implementation's way.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tandem_learn::task::InputFile;

use super::Run;
use crate::child::Child;
use crate::interleave::{interleave, middle, speeds};
use crate::machine;
use crate::row::{Goal, Row, Unit};
use crate::side::{AttackSetup, ClassifierSetup, PgdReply};
use crate::stats::Summary;

const THREADS: u32 = 2;
/// Of the classifier's training: on `shapes` enough to be right nine times out of ten.
const TRAINING: u32 = 300;
const IMAGES: u32 = 1000;
const BATCH: u32 = 250;
const STEPS: u32 = 20;
const STEP: f64 = 0.125;
/// At which a net that was not trained against attacks has nothing left.
const BROKEN: f64 = 8.0 / 255.0;
/// Share of the images whose verdict may differ: torchattacks judges the last iterate, ours any, and rounding decides
/// a few.
const VERDICTS: f64 = 0.005;
/// A pair takes a quarter of a minute, and three are enough for goals so far from 1.
const PAIRS: usize = 3;
/// The reference takes a second an image.
const PLB_IMAGES: u32 = 25;
const PLB_PAIRS: usize = 2;

pub(crate) fn measure(run: &Run) -> Result<Vec<Row>> {
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
            radius: None,
            folder: folder.path().to_owned(),
        };
        Ok(vec![
            pgd(run, &setup, "attack/pgd-half", (0.4, 0.6), 1.5)?,
            pgd(run, &AttackSetup { radius: Some(BROKEN), ..setup.clone() }, "attack/pgd-broken", (0.0, 0.05), 3.0)?,
            plb(
                run,
                &AttackSetup { images: PLB_IMAGES, relative: true, ..setup.clone() },
                "attack/plb",
                "as `attack = \"plb\"` runs it,",
                10.0,
            )?,
            // The same steps on both sides: only to be no slower.
            plb(
                run,
                &AttackSetup { images: PLB_IMAGES, ..setup },
                "attack/plb-published",
                "with the published steps",
                1.0,
            )?,
        ])
    })
}

/// `standing` is between which shares of the images must withstand.
fn pgd(run: &Run, setup: &AttackSetup, name: &str, standing: (f64, f64), goal: f64) -> Result<Row> {
    let mut ours = Child::ours("pgd", THREADS)?;
    let our: PgdReply = ours.ask(setup)?;
    let mut theirs = Child::peer(&run.python, "pgd", THREADS)?;
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
    let pairs = interleave(run.pairs.min(PAIRS), || ours.block(1), || theirs.block(1))?;
    let wrong = if differ > VERDICTS {
        Some(format!(
            "{only_ours} images fall to ours alone and {only_theirs} to theirs alone: more than {VERDICTS} of all"
        ))
    } else if robust < standing.0 || robust > standing.1 {
        Some(format!("{:.1} % of the images withstand, not {} to {}", 100.0 * robust, standing.0, standing.1))
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
        void: wrong,
        note: format!(
            "{:.2} against {:.2} s at radius {:.1}/255; resnet-tiny, {THREADS} threads; {only_ours} images fall to ours \
             alone, {only_theirs} to theirs; torchattacks' faster format: {}",
            middle(&pairs, |pair| pair.ours),
            middle(&pairs, |pair| pair.theirs),
            255.0 * our.radius,
            their.layout
        ),
        raw: json!({ "pairs": pairs, "radius": our.radius, "only_ours": only_ours, "only_theirs": only_theirs }),
    })
}

fn plb(run: &Run, setup: &AttackSetup, name: &str, which: &str, goal: f64) -> Result<Row> {
    let mut ours = Child::ours("plb", THREADS)?;
    let _: Value = ours.ask(setup)?;
    let mut theirs = Child::peer(&run.python, "plb", THREADS)?;
    let _: Value = theirs.ask(setup)?;
    let (mut near, mut far) = (0.0, 0.0);
    let finding = |child: &mut Child, distance: &mut f64| {
        let (seconds, distances) = child.finding::<Vec<Option<f64>>>()?;
        // JSON has no infinity: an image that withstood is null.
        let distances: Vec<f64> = distances.into_iter().map(|distance| distance.unwrap_or(f64::INFINITY)).collect();
        *distance = Summary::of(&distances).context("no image was attacked")?.median;
        Ok(seconds)
    };
    let pairs =
        interleave(run.pairs.min(PLB_PAIRS), || finding(&mut ours, &mut near), || finding(&mut theirs, &mut far))?;
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
            middle(&pairs, |pair| pair.ours),
            middle(&pairs, |pair| pair.theirs),
        ),
        raw: json!({ "pairs": pairs, "median_distance": { "ours": near, "theirs": far } }),
    })
}
