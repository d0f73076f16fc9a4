//! Both views of a batch by SimCLR's augmentation, against torchvision v2 on PIL images in two processes, and against
//! Kornia on the whole batch as one tensor; each on the same two cores.

use anyhow::Result;
use serde_json::json;
use tandem_domain::spec::Augment;

use crate::child::Child;
use crate::interleave::{interleave, median, speeds};
use crate::machine;
use crate::row::{Goal, Row, Unit};
use crate::settings::Settings;
use crate::side::{AugmentReply, AugmentSetup};

const THREADS: u32 = 2;
const BATCH: u32 = 256;
/// Batches in a block. Our side does more, so that its blocks are long enough to time.
const OURS: u64 = 40;
const THEIRS: u64 = 5;
/// Batches (of two views each) whose moments are compared, and how far mean and variance may lie apart: four times the
/// difference that chance makes. Exact parity with torchvision, operation by operation, is tested in `learn`.
const MOMENT_BATCHES: u32 = 8;
const MOMENT_TOLERANCE: f64 = 0.01;

/// The library that our augmentation is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AugmentPeer {
    Torchvision,
    Kornia,
}

pub(crate) fn measure(settings: &Settings, peer: AugmentPeer) -> Result<Vec<Row>> {
    // torchvision has one thread in each of its processes.
    let (script, threads, goal) = match peer {
        AugmentPeer::Torchvision => ("augment", 1, 15.0),
        AugmentPeer::Kornia => ("augment_kornia", THREADS, 8.0),
    };
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
        // After our side, which writes the images that this one reads.
        let mut theirs = Child::peer(&settings.python, script, threads)?;
        let their: AugmentReply = theirs.ask(&setup)?;

        let apart = (our.mean - their.mean).abs().max((our.variance - their.variance).abs());
        let pairs = interleave(
            settings.pairs,
            || Ok(ours.block(OURS)? / OURS as f64),
            || Ok(theirs.block(THEIRS)? / THEIRS as f64),
        )?;
        let (name, against) = match peer {
            AugmentPeer::Torchvision => ("augment/torchvision", format!("torchvision {} on PIL", their.version)),
            AugmentPeer::Kornia => ("augment/kornia", format!("Kornia {} on the batch", their.version)),
        };
        Ok(vec![Row {
            name: name.into(),
            what: format!("Two views of {BATCH} images, {THREADS} cores, against {against}"),
            goal: Goal::AtLeast(goal),
            unit: Unit::Times,
            value: speeds(&pairs)?,
            void: (apart.is_nan() || apart > MOMENT_TOLERANCE)
                .then(|| format!("means or variances of the views lie {apart:.4} apart: more than {MOMENT_TOLERANCE}")),
            note: format!(
                "{:.1} against {:.1} ms; mean and variance of views within {apart:.4}",
                median(&pairs, |pair| pair.ours * 1e3),
                median(&pairs, |pair| pair.theirs * 1e3),
            ),
            raw: json!({ "seconds_a_batch": pairs, "moments": { "ours": our, "theirs": their } }),
        }])
    })
}
