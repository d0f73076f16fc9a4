//! Devices: all of them as a table, one in full, and those of a job while it held them.

use chrono::{DateTime, Utc};
use tandem_draw::spark;
use tandem_proto::v1::{DeviceFigures, DevicePoint, DeviceReport, DevicesResponse};

use super::{
    state,
    table::{Rows, Style, Text, Tone, pairs},
    units,
};
use crate::{printable::line, time::utc};

/// Bars of a curve in the table, and of one that has a line of its own.
const NARROW: usize = 12;
const WIDE: usize = 48;
/// Warmer than this is worth a colour.
const HOT: u32 = 85;

/// The whole answer, as a person asked for it.
pub(crate) fn page(answer: &DevicesResponse, by_name: bool, style: Style, now: DateTime<Utc>) -> String {
    match answer.devices.as_slice() {
        devices if !answer.job_id.is_empty() => of_job(&answer.job_name, devices, now),
        [one] if by_name => in_full(one, style, now),
        devices => format!("{}{}", table(devices, style), remarks(devices)),
    }
}

fn table(devices: &[DeviceReport], style: Style) -> String {
    let has_cards = devices.iter().any(|device| kind(device) == "cuda");
    let mut headers = vec!["WORKER", "STATE", "LOAD", "LAST HOUR", "MEMORY"];
    if has_cards {
        headers.extend(["TEMP", "POWER"]);
    }
    let mut rows = Rows::new(style, &headers);
    for device in devices {
        let figures = device.now.unwrap_or_default();
        let mut cells: Vec<Text> = vec![
            device.worker.as_str().into(),
            state::worker_cell(device.state()),
            of_slot(device, load(&figures)).into(),
            spark::placed(places(device, |point| point.utilization_percent), 100.0, NARROW).trim_end().into(),
            of_slot(device, memory(&figures)).into(),
        ];
        if has_cards {
            cells.push(temperature(&figures));
            cells.push(figures.power_watts.map(|watts| format!("{watts} W")).unwrap_or_default().into());
        }
        rows.row(cells);
    }
    // A curve that is broken over lines is none.
    rows.to_string()
}

/// What is wrong with whom, a line each.
fn remarks(devices: &[DeviceReport]) -> String {
    devices.iter().flat_map(remarks_of).map(|remark| format!("\n{remark}")).collect()
}

fn remarks_of(device: &DeviceReport) -> Vec<String> {
    let name = line(&device.worker);
    let mut remarks = Vec::new();
    if !device.quarantine_reason.is_empty() {
        remarks.push(format!("{name} is quarantined: {}", line(&device.quarantine_reason)));
    }
    if !device.withheld.is_empty() {
        remarks.push(format!("{name} gets no jobs: {}", line(&device.withheld)));
    }
    if !device.late.is_empty() {
        remarks.push(format!("{name}: how it is now is not known: {}", line(&device.late)));
    }
    if !device.doubt.is_empty() {
        remarks.push(format!("{name}: {}", line(&device.doubt)));
    }
    if !device.throttled.is_empty() {
        remarks.push(format!("{name} runs slower than it could: {}", line(&device.throttled.join(", "))));
    }
    remarks
}

fn in_full(device: &DeviceReport, style: Style, now: DateTime<Utc>) -> String {
    let figures = device.now.unwrap_or_default();
    let what = device.device.as_ref().map_or_else(String::new, |known| {
        let index = if known.kind == "cuda" { format!(":{}", known.index) } else { String::new() };
        let driver = if known.driver.is_empty() { String::new() } else { format!(", driver {}", known.driver) };
        format!("{}{index} {}{driver} on {}", known.kind, known.name, device.host)
    });
    let seen = utc(&device.at).map(|at| format!("{} ago", units::age(at, now)));
    let head = pairs(&[
        ("worker", device.worker.clone()),
        ("device", what),
        ("state", state::worker(device.state()).to_owned()),
        ("looked at", seen.unwrap_or_else(|| "not in the last hour".to_owned())),
        ("clock", clocks(&figures)),
        ("pcie", pcie(&figures)),
        ("throttled", device.throttled.join(", ")),
        ("disk", disks(&figures)),
    ]);
    let curves = curves(device, &figures);
    let curves = if curves.is_empty() { curves } else { format!("\nthe last hour\n{curves}") };
    let remarks = remarks(std::slice::from_ref(device));
    format!("{head}{curves}{}{remarks}", processes(device, style))
}

fn of_job(name: &str, devices: &[DeviceReport], now: DateTime<Utc>) -> String {
    if devices.is_empty() {
        return format!("`{}` has had no device yet\n", line(name));
    }
    let mut page = String::new();
    for device in devices {
        let moment = |at: &_| utc(at).map(|at| at.format("%m-%d %H:%M").to_string()).unwrap_or_default();
        let took = utc(&device.from).zip(utc(&device.until));
        let took = took.map(|(from, until)| units::duration((until.min(now) - from).as_seconds_f64()));
        page.push_str(&format!(
            "{}attempt {}, rank {} on {}, from {} UTC for {}\n",
            if page.is_empty() { "" } else { "\n" },
            device.attempt,
            device.rank,
            line(&device.worker),
            moment(&device.from),
            took.unwrap_or_default(),
        ));
        let curves = curves(device, &greatest(&device.points));
        page.push_str(if curves.is_empty() { "  nothing is known of that time\n" } else { &curves });
    }
    page
}

/// A line for each figure that is known: what it is, its newest or greatest value, and its curve.
fn curves(device: &DeviceReport, figures: &DeviceFigures) -> String {
    let total =
        device.device.as_ref().map_or(0, |known| known.memory_bytes).max(figures.memory_total_bytes.unwrap_or(0));
    let top_power = device.points.iter().filter_map(|point| point.power_watts).fold(1.0, f64::max);
    let top_clock = figures.sm_clock_max_mhz.map_or(0.0, f64::from);
    let top_clock = device.points.iter().filter_map(|point| point.sm_clock_mhz).fold(top_clock, f64::max);
    type Of = fn(&DevicePoint) -> Option<f64>;
    let rows: [(&str, String, f64, Of); 5] = [
        ("load", load(figures), 100.0, |point| point.utilization_percent),
        ("memory", memory(figures), total as f64, |point| point.memory_used_bytes.map(|bytes| bytes as f64)),
        ("temp", temperature_words(figures), 100.0, |point| point.temperature_celsius.map(f64::from)),
        ("power", figures.power_watts.map(|watts| format!("{watts} W")).unwrap_or_default(), top_power, |point| {
            point.power_watts
        }),
        ("clock", figures.sm_clock_mhz.map(|clock| format!("{clock} MHz")).unwrap_or_default(), top_clock, |point| {
            point.sm_clock_mhz
        }),
    ];
    let mut text = String::new();
    for (name, value, top, of) in rows {
        if device.points.iter().any(|point| of(point).is_some()) {
            let curve = spark::placed(places(device, of), top, WIDE);
            text.push_str(format!("  {name:<7} {value:<18} {curve}").trim_end());
            text.push('\n');
        }
    }
    if device.points.iter().any(|point| point.throttled) {
        text.push_str("  slowed by the hardware for a while\n");
    }
    text
}

/// The figures of a time that is over: the greatest of each.
fn greatest(points: &[DevicePoint]) -> DeviceFigures {
    let most = |of: fn(&DevicePoint) -> Option<f64>| points.iter().filter_map(of).reduce(f64::max);
    let whole = |value: Option<f64>| value.map(|value| value.round() as u32);
    DeviceFigures {
        utilization_percent: whole(most(|point| point.utilization_percent)),
        memory_used_bytes: points.iter().filter_map(|point| point.memory_used_bytes).max(),
        temperature_celsius: points.iter().filter_map(|point| point.temperature_celsius).max(),
        power_watts: whole(most(|point| point.power_watts)),
        sm_clock_mhz: whole(most(|point| point.sm_clock_mhz)),
        ..DeviceFigures::default()
    }
}

fn places(device: &DeviceReport, of: fn(&DevicePoint) -> Option<f64>) -> Vec<(f64, f64)> {
    let Some((from, until)) = utc(&device.from).zip(utc(&device.until)) else { return Vec::new() };
    let place = |point: &DevicePoint| Some((place_of(utc(&point.at)?, from, until), of(point)?));
    device.points.iter().filter_map(place).collect()
}

/// Where a moment stands between the beginning, 0, and the end, 1.
fn place_of(at: DateTime<Utc>, from: DateTime<Utc>, until: DateTime<Utc>) -> f64 {
    let span = (until - from).as_seconds_f64();
    if span > 0.0 { (at - from).as_seconds_f64() / span } else { 0.0 }
}

fn kind(device: &DeviceReport) -> &str {
    device.device.as_ref().map_or("", |known| &known.kind)
}

/// What a slot of processors says is its whole machine's: others work there, too.
fn of_slot(device: &DeviceReport, figure: String) -> String {
    if kind(device) == "cpu" && !figure.is_empty() { format!("{figure} (host)") } else { figure }
}

fn load(figures: &DeviceFigures) -> String {
    figures.utilization_percent.map(|percent| format!("{percent} %")).unwrap_or_default()
}

/// `9.0/11.0 GiB`, `12.0 MiB/11.0 GiB`.
fn memory(figures: &DeviceFigures) -> String {
    match (figures.memory_used_bytes.map(units::bytes), figures.memory_total_bytes.map(units::bytes)) {
        (None, None) => String::new(),
        (Some(used), None) => used,
        (None, Some(total)) => format!("?/{total}"),
        (Some(used), Some(total)) => {
            let unit = total.split_once(' ').map_or("", |(_, unit)| unit);
            format!("{}/{total}", used.strip_suffix(unit).unwrap_or(&used).trim_end())
        }
    }
}

fn temperature_words(figures: &DeviceFigures) -> String {
    figures.temperature_celsius.map(|celsius| format!("{celsius} °C")).unwrap_or_default()
}

fn temperature(figures: &DeviceFigures) -> Text {
    let is_hot = figures.temperature_celsius.is_some_and(|celsius| celsius >= HOT);
    Text::new(temperature_words(figures), if is_hot { Tone::Bad } else { Tone::Plain })
}

fn clocks(figures: &DeviceFigures) -> String {
    let of = |name: &str, now: Option<u32>, most: Option<u32>| {
        let most = most.map(|most| format!(" of {most}")).unwrap_or_default();
        now.map(|now| format!("{name} {now}{most} MHz"))
    };
    let sm = of("sm", figures.sm_clock_mhz, figures.sm_clock_max_mhz);
    let memory = of("memory", figures.memory_clock_mhz, figures.memory_clock_max_mhz);
    sm.into_iter().chain(memory).collect::<Vec<_>>().join(", ")
}

fn pcie(figures: &DeviceFigures) -> String {
    let link =
        figures.pcie_generation.zip(figures.pcie_width).map(|(generation, width)| format!("gen {generation} x{width}"));
    let rate = |words: &str, rate: Option<u64>| rate.map(|rate| format!("{words} {}/s", units::bytes(rate)));
    let rates = [rate("in", figures.pcie_received_per_second), rate("out", figures.pcie_sent_per_second)];
    link.into_iter().chain(rates.into_iter().flatten()).collect::<Vec<_>>().join(", ")
}

fn disks(figures: &DeviceFigures) -> String {
    let free = |words: &str, free: Option<u64>| free.map(|free| format!("{} free {words}", units::bytes(free)));
    let known = [free("for its state", figures.state_free_bytes), free("in the store", figures.store_free_bytes)];
    known.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn processes(device: &DeviceReport, style: Style) -> String {
    if device.processes.is_empty() {
        return String::new();
    }
    let mut rows = Rows::new(style, &["PID", "OF", "PROCESS", "MEMORY", "SINCE (UTC)", ""]);
    for process in &device.processes {
        let or = |text: &str| if text.is_empty() { "?".to_owned() } else { text.to_owned() };
        let whose = if process.ours { Text::new("a rank", Tone::Faint) } else { Text::new("not ours", Tone::Bad) };
        rows.row([
            process.pid.to_string().into(),
            or(&process.user).into(),
            or(&process.name).into(),
            process.memory_bytes.map(units::bytes).unwrap_or_default().into(),
            utc(&process.since).map(|at| at.format("%m-%d %H:%M:%S").to_string()).unwrap_or_default().into(),
            whose,
        ]);
    }
    format!("\n{rows}")
}

#[cfg(test)]
#[path = "devices_tests.rs"]
mod tests;
