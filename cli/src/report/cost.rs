//! On what it ran, how long, and what energy that took.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use tandem_domain::receipt::Receipt;
use tandem_proto::v1::{DeviceReport, Job};

use super::{
    document::{Block, Cell, Section, Table},
    facts::View,
};
use crate::{render::units, time::utc};

/// What a job, or several, had of devices.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Cost {
    /// Of all devices together.
    pub(crate) seconds: f64,
    /// Mean power times time.
    pub(crate) joules: f64,
    /// The seconds for which the power is known.
    pub(crate) measured: f64,
}

impl Cost {
    fn add(&mut self, other: Self) {
        self.seconds += other.seconds;
        self.joules += other.joules;
        self.measured += other.measured;
    }

    /// `0.42 kWh`, with how much of the time it is of where that is not all; `not measured`.
    pub(crate) fn energy(&self) -> String {
        const NEARLY_ALL: f64 = 0.99;
        if self.measured <= 0.0 {
            return "not measured".to_owned();
        }
        let hours = self.joules / 3600.0;
        let energy = match hours {
            hours if hours >= 1000.0 => format!("{:.2} kWh", hours / 1000.0),
            hours => format!("{hours:.1} Wh"),
        };
        let share = self.measured / self.seconds.max(f64::MIN_POSITIVE);
        if share >= NEARLY_ALL { energy } else { format!("{energy} in {:.0} % of the time", 100.0 * share) }
    }
}

/// Of one time that a device was held.
fn of_report(report: &DeviceReport, now: DateTime<Utc>) -> Cost {
    let (Some(from), until) = (utc(&report.from), utc(&report.until).unwrap_or(now)) else { return Cost::default() };
    let seconds = ((until - from).num_milliseconds() as f64 / 1000.0).max(0.0);
    let power: Vec<f64> = report.points.iter().filter_map(|point| point.power_watts).collect();
    if power.is_empty() {
        return Cost { seconds, ..Cost::default() };
    }
    let mean = power.iter().sum::<f64>() / power.len() as f64;
    Cost { seconds, joules: mean * seconds, measured: seconds }
}

pub(crate) fn of_job(view: &View<'_>, job: &Job) -> Cost {
    let mut cost = Cost::default();
    let reports = view.facts.devices.get(&job.id).into_iter().flatten();
    reports.for_each(|report| cost.add(of_report(report, view.facts.now)));
    cost
}

/// `NVIDIA H200`, `cpu (host)`.
pub(crate) fn device(report: &DeviceReport) -> String {
    let device = report.device.clone().unwrap_or_default();
    match (device.kind.as_str(), device.name.as_str()) {
        ("", "") => "not known".to_owned(),
        (kind, "") => kind.to_owned(),
        ("cpu", name) if !name.to_lowercase().contains("cpu") => format!("CPU: {name}"),
        (_, name) => name.to_owned(),
    }
}

pub(crate) fn section(view: &View<'_>) -> Section {
    let mut kinds: BTreeMap<String, (Cost, Vec<&str>, Vec<String>)> = BTreeMap::new();
    for (job, reports) in &view.facts.devices {
        for report in reports {
            let (cost, jobs, workers) = kinds.entry(device(report)).or_default();
            cost.add(of_report(report, view.facts.now));
            jobs.push(job);
            workers.push(report.worker.clone());
        }
    }
    let mut blocks = Vec::new();
    let each = |mut all: Vec<String>| {
        all.sort();
        all.dedup();
        all
    };
    let row = |(name, (cost, jobs, workers)): (String, (Cost, Vec<&str>, Vec<String>))| -> Vec<Cell> {
        let jobs = each(jobs.into_iter().map(str::to_owned).collect());
        vec![
            name.into(),
            jobs.len().to_string().into(),
            each(workers).len().to_string().into(),
            units::duration(cost.seconds).into(),
            cost.energy().into(),
        ]
    };
    let rows: Vec<Vec<Cell>> = kinds.into_iter().map(row).collect();
    if !rows.is_empty() {
        let heads = ["device", "jobs", "workers", "device time", "energy"].map(str::to_owned).to_vec();
        let caption = "Time that devices were held, attempts that were lost included. Energy is mean power times time, from looks at the \
                       device every few seconds: between two of them the mean by the card's counter of energy where it has one \
                       (NVIDIA's since Volta), else the power at the looks. Of CPUs no power is known."
            .to_owned();
        blocks.push(Block::Table(Table { caption, heads, rows, numbers_from: 1 }));
    }
    let environments = environments(view.facts.receipts.values());
    if !environments.is_empty() {
        blocks.push(Block::List(environments));
    }
    Section::new("Hardware, time and energy", blocks)
}

/// What the receipts say of programs and libraries, each once.
fn environments<'r>(receipts: impl Iterator<Item = &'r Receipt>) -> Vec<String> {
    let all = receipts.flat_map(Receipt::environments).map(|one| {
        let driver =
            if one.device.driver.is_empty() { String::new() } else { format!(", driver {}", one.device.driver) };
        format!(
            "{} {} ({}, {}{driver}): tandem-worker {}, training code {}, libtorch {}, threads of a shard: {}",
            one.device.kind,
            one.device.name,
            one.processor,
            one.instructions,
            one.version,
            one.learn_version,
            one.libtorch,
            one.threads
        )
    });
    let mut all: Vec<String> = all.collect();
    all.sort();
    all.dedup();
    all
}

#[cfg(test)]
mod tests {
    use tandem_proto::{convert::timestamp, v1::DevicePoint};

    use super::*;

    fn report(power: &[Option<f64>]) -> DeviceReport {
        let at = |seconds: i64| Some(timestamp(DateTime::UNIX_EPOCH + chrono::TimeDelta::seconds(seconds)));
        let point = |power_watts: &Option<f64>| DevicePoint { power_watts: *power_watts, ..DevicePoint::default() };
        DeviceReport {
            from: at(0),
            until: at(3600),
            points: power.iter().map(point).collect(),
            ..DeviceReport::default()
        }
    }

    #[test]
    fn energy_is_mean_power_times_time_where_power_is_known() {
        let of = |power: &[Option<f64>]| of_report(&report(power), DateTime::UNIX_EPOCH);
        assert_eq!(of(&[Some(100.0), None, Some(300.0)]).energy(), "200.0 Wh");
        assert_eq!(of(&[]).energy(), "not measured");
        let mut both = of(&[Some(400.0)]);
        both.add(of(&[None]));
        assert_eq!((both.energy().as_str(), both.seconds), ("400.0 Wh in 50 % of the time", 7200.0));
        let many = Cost { seconds: 36e3, joules: 36e3 * 700.0, measured: 36e3 };
        assert_eq!(many.energy(), "7.00 kWh");
    }
}
