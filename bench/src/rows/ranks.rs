//! Training on two ranks of one thread (two processes, Gloo) against one rank of two threads: the same images, the same
//! two logical shards, the same two cores.

use anyhow::Result;
use serde_json::json;

use crate::child::{Block, Child, Elapsed};
use crate::interleave::{interleave, median, speeds};
use crate::machine;
use crate::row::{Goal, Row, Unit};
use crate::settings::Settings;
use crate::side::{RanksReply, RanksSetup};

const CORES: u32 = 2;
const SHARDS: u32 = 2;
const BATCH: u32 = 256;
/// Steps in a block.
const STEPS: u64 = 8;

pub(crate) fn measure(settings: &Settings) -> Result<Vec<Row>> {
    let setup = |rank, world_size, port| RanksSetup {
        rank,
        world_size,
        shards: SHARDS,
        batch: BATCH,
        threads: CORES / world_size,
        port,
    };
    machine::on_cores(CORES, || {
        let mut one = Child::ours("ranks", CORES)?;
        let _: RanksReply = one.ask(&setup(0, 1, None))?;
        let mut first = Child::ours("ranks", 1)?;
        let RanksReply { port } = first.ask(&setup(0, 2, None))?;
        let mut second = Child::ours("ranks", 1)?;
        let _: RanksReply = second.ask(&setup(1, 2, port))?;

        // Both get their request before either answer is awaited. The gang takes as long as its slower rank.
        let mut gang = |count| -> Result<f64> {
            first.send(&Block { count })?;
            second.send(&Block { count })?;
            let (a, b): (Elapsed, Elapsed) = (first.receive()?, second.receive()?);
            Ok(a.seconds.max(b.seconds))
        };
        // In the first block the ranks form their group, build the model and warm up.
        gang(2)?;
        one.block(2)?;
        let pairs = interleave(settings.pairs, || gang(STEPS), || one.block(STEPS))?;
        let images = (STEPS * u64::from(BATCH)) as f64;
        Ok(vec![Row {
            name: "ranks".into(),
            what: "Two ranks of one thread, against one rank of two: resnet-tiny, batch 256".into(),
            goal: Goal::AtLeast(0.85),
            unit: Unit::Times,
            value: speeds(&pairs)?,
            void: None,
            note: format!(
                "{:.0} against {:.0} images/s, augmentation included",
                median(&pairs, |pair| images / pair.ours),
                median(&pairs, |pair| images / pair.theirs),
            ),
            raw: json!({ "steps_a_block": STEPS, "pairs": pairs }),
        }])
    })
}
