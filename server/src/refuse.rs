//! Why jobs of a plan cannot run here: what nobody has, what is too large, what the policy does not allow its submitter.

use std::time::Duration;

use tandem_domain::{
    access::identity::Person,
    datasets,
    plan::{Plan, PlannedJob},
    policy::Limits,
    spec::{Recompute, Stage},
};

use crate::{
    error::{Error, Result},
    images::add_images,
    sharing::policy,
    store::{Store, workers},
};

/// Each reason once, with the first of its jobs.
pub(crate) fn refusals(plan: &Plan) -> Vec<String> {
    let mut reasons: Vec<(&str, &str, usize)> = Vec::new();
    for (name, reason) in plan.jobs.iter().filter_map(|job| Some((&job.spec.name, job.refusal.as_deref()?))) {
        match reasons.iter_mut().find(|(known, ..)| *known == reason) {
            Some((_, _, others)) => *others += 1,
            None => reasons.push((reason, name, 0)),
        }
    }
    let line = |(reason, first, others): &(&str, &str, usize)| match others {
        0 => format!("job `{first}`: {reason}"),
        others => format!("job `{first}` and {others} more: {reason}"),
    };
    reasons.iter().map(line).collect()
}

/// Refuses jobs on images that no worker has, and those that are too large for the whole fleet, unless there is no worker
/// yet to compare with. Returns what a person should know.
pub(crate) async fn add_refusals(
    store: &Store,
    who: &Person,
    max_time: Option<Duration>,
    plan: &mut Plan,
) -> Result<Vec<String>> {
    let notes = add_images(store, plan).await?;
    let mut conn = store.reader().await?;
    let fleet = workers::counts_by_kind(&mut conn).await?;
    let (_, house) = policy::current(&mut conn).await?;
    let memory = workers::largest_memory(&mut conn).await?;
    house.may_give(who.role, plan.priority).map_err(Error::Forbidden)?;
    let limits = house.limits_of(&who.name);
    limits.may_take(max_time).map_err(Error::Forbidden)?;
    for job in &mut plan.jobs {
        if job.refusal.is_none() {
            job.refusal =
                too_large(job, &fleet).or_else(|| over_limit(job, &limits)).or_else(|| over_memory(job, &memory));
        }
    }
    Ok(notes)
}

/// Why a job can never start for who submits it.
fn over_limit(job: &PlannedJob, limits: &Limits) -> Option<String> {
    let most = limits.running_devices?;
    let need = job.spec.workers.world_sizes(job.spec.shards).next().unwrap_or(job.spec.workers.min);
    (need > most).then(|| {
        format!("asks for {need} workers, and the policy lets you run on {most} devices at a time (tandem policy show)")
    })
}

/// Why no device of the fleet can hold a job, and what would make it smaller. `memory` is that of the largest device of each kind.
fn over_memory(job: &PlannedJob, memory: &[(String, u64)]) -> Option<String> {
    let need = job.estimate.memory_bytes;
    let (kind, largest) = memory.iter().max_by_key(|(_, bytes)| *bytes)?;
    let margin = if kind == "cpu" { MEMORY_MARGIN } else { DEVICE_MEMORY_MARGIN };
    if need == 0 || *largest == 0 || need as f64 <= margin * *largest as f64 {
        return None;
    }
    let saves = matches!(&job.spec.stage, Stage::Contrastive(stage) if stage.recompute == Recompute::None);
    let remedy = match saves {
        true => "`recompute = \"shards\"` takes a fraction of it, and more `shards` less each",
        false => "a smaller batch, or more `shards`, takes less",
    };
    let (need, largest) = (datasets::size(need), datasets::size(*largest));
    Some(format!("needs about {need} of memory, and the largest {kind} device of the fleet has {largest}; {remedy}"))
}

/// What is estimated may be more than what is used: a little on CPUs, where it is measured, ...
const MEMORY_MARGIN: f64 = 1.1;
/// ... and a part of it is on the host, not on the device.
const DEVICE_MEMORY_MARGIN: f64 = 1.5;

fn too_large(job: &PlannedJob, fleet: &[(String, u32)]) -> Option<String> {
    let largest = fleet.iter().map(|(_, count)| *count).max()?;
    let need = job.spec.workers.world_sizes(job.spec.shards).next().unwrap_or(job.spec.workers.min);
    let has: Vec<String> = fleet.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
    (need > largest).then(|| {
        let has = has.join(", ");
        format!("asks for {need} workers of one kind, but the fleet has {has}; lower `workers` or start more workers")
    })
}
