//! What a coordinator with two workers costs when there is nothing to do.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::json;
use tandem_harness::Cluster;

use crate::cpu::cpu_seconds;
use crate::machine;
use crate::row::{Goal, Row, Unit};
use crate::settings::Settings;
use crate::stats::Summary;

const WINDOW: Duration = Duration::from_secs(20);
const WINDOWS: usize = 5;
/// The work of starting (migrations, prepared statements) is over by then.
const SETTLE: Duration = Duration::from_secs(5);

pub(crate) fn measure(settings: &Settings) -> Result<Vec<Row>> {
    let cluster = Cluster::of(&settings.binaries()?, 2, &[])?;
    let servers = cluster.processes(&["tandem-server"]);
    let server = *servers.first().context("found no tandem-server in the cluster")?;
    std::thread::sleep(SETTLE);
    let (mut percents, mut megabytes) = (Vec::new(), Vec::new());
    for _ in 0..WINDOWS {
        let (before, start) = (cpu_seconds(server)?, Instant::now());
        std::thread::sleep(WINDOW);
        percents.push(100.0 * (cpu_seconds(server)? - before) / start.elapsed().as_secs_f64());
        megabytes.push(machine::resident_bytes(server)? / 1e6);
    }
    let row = |name: &str, what: &str, goal, unit, values: &[f64]| -> Result<Row> {
        Ok(Row {
            name: name.into(),
            what: what.into(),
            goal: Goal::Below(goal),
            unit,
            value: Summary::of(values).context("nothing was measured")?,
            void: None,
            note: format!("two workers connected, windows of {} s", WINDOW.as_secs()),
            raw: json!(values),
        })
    };
    Ok(vec![
        row("idle/cpu", "Idle coordinator: share of a core", 1.0, Unit::Percent, &percents)?,
        row("idle/memory", "Idle coordinator: resident memory", 60.0, Unit::Megabytes, &megabytes)?,
    ])
}
