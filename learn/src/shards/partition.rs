//! How a batch is cut into shards, and which of them are this rank's.

use std::ops::Range;

use tandem_collective::ProcessGroup;

use crate::failure::Failure;

/// The shards of each batch, and which of them are this rank's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shards {
    pub count: u32,
    pub rank: u32,
    pub world_size: u32,
}

impl Shards {
    /// Fails unless `world_size` divides `count` and `count` divides `batch_size`.
    pub fn new(count: u32, batch_size: u32, group: &ProcessGroup) -> Result<Self, Failure> {
        let (rank, world_size) = (group.rank(), group.world_size());
        if count == 0 || !count.is_multiple_of(world_size) {
            return Err(Failure::Job(format!("{world_size} workers cannot share {count} shards equally")));
        }
        if !batch_size.is_multiple_of(count) {
            return Err(Failure::Job(format!("batch_size {batch_size} cannot be cut into {count} equal shards")));
        }
        Ok(Self { count, rank, world_size })
    }

    /// The shards that this rank runs.
    pub fn own(&self) -> Range<u32> {
        let each = self.count / self.world_size;
        self.rank * each..(self.rank + 1) * each
    }

    /// The images of one shard of a batch.
    pub fn part<'a>(&self, batch: &'a [i64], shard: u32) -> &'a [i64] {
        let size = batch.len() / self.count as usize;
        &batch[shard as usize * size..][..size]
    }
}
