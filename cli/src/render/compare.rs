//! A comparison for people: what is compared, in what it differs, what was measured.

use super::{
    spread,
    table::{Rows, Style, Text, Tone, wrapped},
    units::{self, id_length, short_id},
};
use crate::{
    compare::{
        document::{Comparison, PairTold},
        figures::Measured,
    },
    printable::line,
};

/// Configurations that one side alone has, which are named.
const MOST_ALONE: usize = 10;
/// Jobs of a side that are named by their ids.
const MOST_IDS: usize = 3;

pub(crate) fn page(comparison: &Comparison, style: Style) -> String {
    let letters: Vec<&str> = comparison.sides.iter().map(|side| side.letter.as_str()).collect();
    let mut text = String::new();
    for side in &comparison.sides {
        let (experiment, id) = (line(&side.experiment), line(&side.experiment_id));
        let id = short_id(&id, 8);
        let cut = if side.is_cut { ", the first of more" } else { "" };
        let jobs = if side.jobs == 1 { "job" } else { "jobs" };
        let target = line(&side.target);
        text.push_str(&format!("{}  {target}: {} {jobs} of {experiment} ({id}){cut}\n", side.letter, side.jobs));
    }
    for pair in &comparison.pairs {
        text.push_str(&format!("\n{}", of_pair(pair, &letters, style)));
    }
    for letter in &letters {
        let own: Vec<&str> =
            comparison.alone.iter().filter(|one| one.side == **letter).map(|one| one.name.as_str()).collect();
        if !own.is_empty() {
            let named: Vec<_> = own.iter().take(MOST_ALONE).map(|name| line(name)).collect();
            let more = own.len().saturating_sub(MOST_ALONE);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            text.push_str(&format!("\nOnly {letter} has {}{more}.\n", named.join(", ")));
        }
    }
    text
}

/// How it was computed, in a sentence or two.
pub(crate) fn method(comparison: &Comparison) -> String {
    let mut said = vec![
        "Intervals are of 95 % confidence, by Student's t over seeds (n); differences by Welch's t. One run has none.",
    ];
    if comparison.pairs.iter().any(|pair| !pair.images.is_empty()) {
        said.push("Images are compared by McNemar's exact test, two-sided; no p is corrected for the number of tests.");
    }
    said.join("\n")
}

fn of_pair(pair: &PairTold, letters: &[&str], style: Style) -> String {
    let mut text = format!("{}\n", line(&pair.name));
    let length = id_length(pair.jobs.iter().flatten().map(|job| job.id.as_str()));
    for (letter, jobs) in letters.iter().zip(&pair.jobs).filter(|(_, jobs)| !jobs.is_empty()) {
        let ids: Vec<String> = jobs
            .iter()
            .take(MOST_IDS)
            .map(|job| match job.state {
                "succeeded" => short_id(&line(&job.id), length).to_owned(),
                state => format!("{} ({state})", short_id(&line(&job.id), length)),
            })
            .collect();
        let more = jobs.len().saturating_sub(MOST_IDS);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        text.push_str(&format!("  {letter}  {}{more}\n", ids.join(", ")));
    }
    text.push('\n');
    text.push_str(&differs(pair, letters, style));
    if !pair.results.is_empty() {
        text.push('\n');
        text.push_str(&results(pair, letters, style));
    }
    if !pair.images.is_empty() {
        text.push('\n');
        text.push_str(&images(pair, letters, style));
    }
    pair.remarks.iter().for_each(|remark| text.push_str(&wrap(remark, style)));
    text
}

/// Lines that fit the terminal, where there is one.
fn wrap(text: &str, style: Style) -> String {
    let text = line(text);
    let lines = style.width.map_or_else(|| vec![text.to_string()], |room| wrapped(&text, room));
    lines.iter().map(|line| format!("{line}\n")).collect()
}

fn differs(pair: &PairTold, letters: &[&str], style: Style) -> String {
    let there = |place: usize| pair.jobs.get(place).is_some_and(|jobs| !jobs.is_empty());
    let same =
        |values: &[String]| values.iter().enumerate().find(|(place, _)| there(*place)).map(|(_, value)| value.clone());
    if pair.differs.is_empty() {
        let data = same(&pair.data).unwrap_or_default();
        return format!("No parameter, environment or data differs; data: {}\n", line(&data));
    }
    let mut rows = Rows::new(style, &["DIFFERS", "OF", "VALUE"]);
    for one in &pair.differs {
        let key = if one.what == "parameter" { one.key.clone() } else { format!("{} ({})", one.key, one.what) };
        let mut first = Some(key);
        for (_, (letter, value)) in letters.iter().zip(&one.values).enumerate().filter(|(place, _)| there(*place)) {
            let value = match value.is_empty() {
                true => Text::new("not set", Tone::Faint),
                false => value.as_str().into(),
            };
            rows.row([first.take().unwrap_or_default().into(), (*letter).into(), value]);
        }
    }
    rows.to_string()
}

fn results(pair: &PairTold, letters: &[&str], style: Style) -> String {
    let (equal, other): (Vec<&Measured>, Vec<&Measured>) = pair.results.iter().partition(|one| one.is_equal());
    let mut rows = Rows::new(style, &["RESULT", "OF", "N", "MEAN", "SD", "95 % INTERVAL"]);
    for measured in &other {
        let name = measured.name.as_str();
        let mut title = Some(name.to_owned());
        for (letter, of) in letters.iter().zip(&measured.of) {
            let Some(of) = of else { continue };
            rows.row([
                title.take().unwrap_or_default().into(),
                Text::from(*letter),
                of.n.to_string().into(),
                spread::figure(name, of.mean).into(),
                of.sd.map_or_else(|| Text::new("-", Tone::Faint), |sd| spread::figure(name, sd).into()),
                of.interval.map_or_else(|| Text::new("-", Tone::Faint), |one| spread::interval(name, one).into()),
            ]);
        }
        let first = measured.first().and_then(|place| letters.get(place)).copied().unwrap_or_default();
        for (letter, less) in letters.iter().zip(&measured.less_first) {
            let Some(less) = less else { continue };
            rows.row([
                Text::from(""),
                format!("{letter} - {first}").into(),
                "".into(),
                spread::difference(name, less.mean).into(),
                "".into(),
                less.interval
                    .map_or_else(|| Text::new("-", Tone::Faint), |one| spread::difference_interval(name, one).into()),
            ]);
        }
    }
    (2..6).for_each(|column| rows.right(column));
    rows.less_needed(&[("SD", 1)]);
    let mut text = if other.is_empty() { String::new() } else { rows.to_string() };
    if !equal.is_empty() {
        let told = |one: &&Measured| {
            let mean = one.of.iter().flatten().next().map_or(f64::NAN, |of| of.mean);
            format!("{} {}", line(&one.name), units::figure(&one.name, mean))
        };
        text.push_str(&wrap(&format!("Equal: {}", equal.iter().map(told).collect::<Vec<_>>().join(", ")), style));
    }
    text
}

fn images(pair: &PairTold, letters: &[&str], style: Style) -> String {
    let first = pair.jobs.iter().position(|jobs| !jobs.is_empty()).and_then(|place| letters.get(place));
    let first = first.copied().unwrap_or_default();
    let of_other = if letters.len() == 2 { letters[1].to_owned() } else { "IT".to_owned() };
    let heads = [
        "RIGHT ON".to_owned(),
        "OF".to_owned(),
        "IMAGES".to_owned(),
        format!("ONLY {first}"),
        format!("ONLY {of_other}"),
        "P".to_owned(),
    ];
    let mut rows = Rows::new(style, &heads.each_ref().map(String::as_str));
    for test in &pair.images {
        rows.row([
            test.what.as_str().into(),
            Text::from(format!("{first}, {}", test.side)),
            units::count(test.paired.images()).into(),
            units::count(test.paired.only_first).into(),
            units::count(test.paired.only_second).into(),
            spread::probability(test.paired.p).into(),
        ]);
    }
    (2..6).for_each(|column| rows.right(column));
    rows.to_string()
}
