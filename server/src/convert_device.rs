//! From what is stored of devices to the messages of the wire.

use tandem_domain::device::throttle_words;
use tandem_proto::{convert::timestamp, v1};

use crate::{
    convert,
    query::devices::DeviceNow,
    store::{samples::Point, usage::UsageRow},
};

pub(crate) fn report(now: DeviceNow) -> v1::DeviceReport {
    let DeviceNow { worker, newest, held, from, until, points } = now;
    let worker = convert::worker(worker);
    let (attempt, rank) = held.unwrap_or_default();
    let (at, facts) = newest.map(|(at, facts)| (Some(timestamp(at)), facts)).unwrap_or_default();
    let throttled = throttle_words(facts.reading.throttle.unwrap_or(0));
    v1::DeviceReport {
        worker_id: worker.id,
        worker: worker.name,
        host: worker.host,
        state: worker.state,
        device: worker.device,
        withheld: worker.withheld,
        quarantine_reason: worker.quarantine_reason,
        late: facts.late,
        at,
        now: at.map(|_| facts.reading.into()),
        throttled: throttled.into_iter().map(str::to_owned).collect(),
        processes: facts.processes.iter().map(Into::into).collect(),
        attempt,
        rank,
        from: Some(timestamp(from)),
        until: Some(timestamp(until)),
        points: points.into_iter().map(point).collect(),
        doubt: facts.doubt,
    }
}

fn point(point: Point) -> v1::DevicePoint {
    v1::DevicePoint {
        at: Some(timestamp(point.at)),
        utilization_percent: point.utilization,
        memory_used_bytes: point.memory_used,
        temperature_celsius: point.temperature.and_then(|celsius| u32::try_from(celsius).ok()),
        power_watts: point.power_watts,
        sm_clock_mhz: point.sm_clock,
        load: point.load,
        throttled: point.throttled,
    }
}

pub(crate) fn usage(row: UsageRow) -> v1::Usage {
    let UsageRow { day, owner, kind, device_seconds, jobs } = row;
    v1::Usage { day, person: owner, kind, device_seconds, jobs }
}
