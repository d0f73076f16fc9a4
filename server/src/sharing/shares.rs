//! Turns and quotas of one pass.

use std::collections::BTreeMap;

use tandem_domain::{
    place::{InUse, Policy, QueuedJob, Quotas, RunningGang, take_turns},
    policy::HousePolicy,
};

use crate::{
    error::Result,
    store::{
        Conn,
        used::{self, Used},
    },
};

/// How much longer than estimated a job may take before it delays others that were promised its workers.
const MARGIN: f64 = 1.25;

/// What has been used, and what that leaves.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shares {
    pub(crate) used: BTreeMap<String, Used>,
    /// Seconds of devices that count, with what running jobs will still take.
    pub(crate) counted: BTreeMap<String, f64>,
}

impl Shares {
    pub(crate) async fn read(conn: &mut Conn, house: &HousePolicy, running: &[RunningGang]) -> Result<Self> {
        let used = used::used(conn, house.fair_share.half_life().as_secs_f64()).await?;
        let mut counted: BTreeMap<String, f64> = used.iter().map(|(who, used)| (who.clone(), used.decayed)).collect();
        for gang in running {
            let left = gang.seconds_left.unwrap_or(0.0) * gang.workers.len() as f64;
            *counted.entry(gang.owner.clone()).or_default() += left;
        }
        Ok(Self { used, counted })
    }

    /// The policy of placement with what each of those in line may still take.
    pub(crate) fn policy(&self, house: &HousePolicy, policy: &Policy, queue: &[QueuedJob]) -> Policy {
        let of = |who: &str| self.used.get(who).copied().unwrap_or_default();
        let in_use = queue.iter().map(|job| {
            let Used { devices, this_week, .. } = of(&job.owner);
            (job.owner.clone(), InUse { devices, hours_this_week: this_week / 3600.0 })
        });
        Policy { margin: MARGIN, quotas: Quotas::of(house, &in_use.collect()), ..policy.clone() }
    }

    pub(crate) fn take_turns(&self, house: &HousePolicy, queue: &mut [QueuedJob]) {
        take_turns(queue, &self.counted, &house.fair_share);
    }
}
