//! Both views of a batch by SimCLR's augmentation, against torchvision v2 on PIL images, on the same two cores.

use anyhow::{Context, Result};
use serde_json::json;
use tandem_domain::spec::Augment;

use super::Run;
use crate::child::Child;
use crate::interleave::interleave;
use crate::machine;
use crate::row::{Goal, Row, Unit};
use crate::side::{AugmentReply, AugmentSetup};
use crate::stats::Summary;

const THREADS: u32 = 2;
const BATCH: u32 = 256;
/// Batches in a block: our side is given more, so that its blocks are not too short to time.
const OURS: u64 = 40;
const THEIRS: u64 = 5;
/// Batches (of two views each) whose moments are compared, and how far mean and variance may lie apart: four times what
/// chance does. Exact parity with torchvision, operation by operation, is tested in `learn`.
const MOMENT_BATCHES: u32 = 8;
const MOMENT_TOLERANCE: f64 = 0.01;

pub(crate) fn measure(run: &Run) -> Result<Vec<Row>> {
    let folder = tempfile::tempdir()?;
    let setup = AugmentSetup {
        recipe: Augment::default(),
        images: BATCH,
        batches: MOMENT_BATCHES,
        threads: THREADS,
        folder: folder.path().to_owned(),
    };
    machine::on_cores(THREADS, || {
        let mut ours = Child::ours("augment", THREADS)?;
        let our: AugmentReply = ours.ask(&setup)?;
        // After ours: it reads the images that ours has written. One thread in each of its processes.
        let mut theirs = Child::peer(&run.python, "augment", 1)?;
        let their: AugmentReply = theirs.ask(&setup)?;

        let apart = (our.mean - their.mean).abs().max((our.variance - their.variance).abs());
        let pairs = interleave(
            run.pairs,
            || Ok(ours.block(OURS)? / OURS as f64),
            || Ok(theirs.block(THEIRS)? / THEIRS as f64),
        )?;
        let speeds: Vec<f64> = pairs.iter().map(|pair| pair.speed()).collect();
        let milliseconds = |values: Vec<f64>| Summary::of(&values).map_or(f64::NAN, |seconds| seconds.median * 1e3);
        Ok(vec![Row {
            name: "augment".into(),
            what: format!("Two views of {BATCH} images, {THREADS} cores, against torchvision {} on PIL", their.version),
            goal: Goal::AtLeast(8.0),
            unit: Unit::Times,
            value: Summary::of(&speeds).context("no pair was measured")?,
            void: (apart.is_nan() || apart > MOMENT_TOLERANCE)
                .then(|| format!("means or variances of the views lie {apart:.4} apart: more than {MOMENT_TOLERANCE}")),
            note: format!(
                "{:.1} against {:.1} ms; mean and variance of views within {apart:.4}",
                milliseconds(pairs.iter().map(|pair| pair.ours).collect()),
                milliseconds(pairs.iter().map(|pair| pair.theirs).collect()),
            ),
            raw: json!({ "seconds_a_batch": pairs, "moments": { "ours": our, "theirs": their } }),
        }])
    })
}
