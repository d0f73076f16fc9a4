//! One rank of a gang that trains resnet-tiny on `shapes`, augmentation included.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tandem_collective::{ProcessGroup, RendezvousStore};
use tandem_domain::spec::{Augment, Dataset, Encoder, Head, Recompute, Tikhonov};
use tandem_learn::data::{self, Images};
use tch::Device;

use super::batches::{Batches, SEED};
use super::trainer::{Recipe, Trainer};
use super::work::{Work, timed};

const HOST: &str = "127.0.0.1";
const TIMEOUT: Duration = Duration::from_secs(60);

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct RanksSetup {
    pub(crate) rank: u32,
    pub(crate) world_size: u32,
    pub(crate) shards: u32,
    pub(crate) batch: u32,
    pub(crate) threads: u32,
    /// The port of rank 0, which the other ranks need.
    pub(crate) port: Option<u16>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct RanksReply {
    /// Only from rank 0 of several ranks.
    pub(crate) port: Option<u16>,
}

pub(crate) fn prepare(setup: RanksSetup) -> Result<(Value, Work)> {
    tch::set_num_threads(i32::try_from(setup.threads)?);
    let images = data::load(&Dataset::Shapes, Path::new("."), SEED, Device::Cpu)?.train;
    let store = match (setup.world_size, setup.rank) {
        (1, _) => None,
        (_, 0) => Some(RendezvousStore::listen(HOST, TIMEOUT)?),
        _ => Some(RendezvousStore::connect(HOST, setup.port.context("rank 0 has given no port")?, TIMEOUT)?),
    };
    let reply = RanksReply { port: store.as_ref().map(RendezvousStore::port) };
    // The ranks form their group in their first block, when all of them have been set up.
    let (mut rank, mut store) = (None, store);
    let mut images = Some(images);
    let work = timed(move || {
        if rank.is_none() {
            let images = images.take().context("ranks join once")?;
            rank = Some(Rank::join(&setup, store.take(), images)?);
        }
        rank.as_mut().context("the rank has joined")?.step()
    });
    Ok((serde_json::to_value(reply)?, work))
}

struct Rank {
    trainer: Trainer,
    batches: Batches,
    /// Must live as long as the group.
    _store: Option<RendezvousStore>,
}

impl Rank {
    fn join(setup: &RanksSetup, store: Option<RendezvousStore>, images: Images) -> Result<Self> {
        let group = match &store {
            None => ProcessGroup::alone(),
            Some(store) => ProcessGroup::gloo(store, "bench", setup.rank, setup.world_size, HOST, TIMEOUT)?,
        };
        let recipe = Recipe {
            temperature: 0.5,
            learning_rate: 0.03,
            momentum: 0.9,
            weight_decay: 5e-4,
            tikhonov: Tikhonov::default(),
            recompute: Recompute::default(),
        };
        let head = Head { hidden: 128, output: 64, ..Head::default() };
        let trainer = Trainer::new(Encoder::ResNetTiny, head, recipe, [setup.shards, setup.batch], group)?;
        Ok(Self {
            trainer,
            batches: Batches::new(images, &Augment::default(), setup.batch, setup.threads),
            _store: store,
        })
    }

    fn step(&mut self) -> Result<()> {
        self.batches.advance();
        let (shards, batches) = (self.trainer.shards, &self.batches);
        self.trainer.step(|shard| batches.views(shards.part(batches.batch(), shard)))?;
        Ok(())
    }
}
