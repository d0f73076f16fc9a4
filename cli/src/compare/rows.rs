//! A comparison as one table for other programs: a row for each figure of each side, and for each test by images.

use tandem_domain::statistics::Interval;
use tandem_tables::{Cells, Column, Error, Table};

use super::document::{Comparison, PairTold};

/// One row.
#[derive(Default)]
struct Row {
    jobs: String,
    figure: String,
    side: String,
    n: Option<i64>,
    mean: Option<f64>,
    sd: Option<f64>,
    interval: Option<Interval>,
    difference: Option<f64>,
    difference_interval: Option<Interval>,
    only_first: Option<i64>,
    only_this: Option<i64>,
    p: Option<f64>,
}

pub(crate) fn table(comparison: &Comparison) -> Result<Table, Error> {
    let letters: Vec<&str> = comparison.sides.iter().map(|side| side.letter.as_str()).collect();
    let rows: Vec<Row> = comparison.pairs.iter().flat_map(|pair| of_pair(pair, &letters)).collect();
    let text = |of: fn(&Row) -> &String| Cells::Text(rows.iter().map(|row| Some(of(row).clone())).collect());
    let float = |of: fn(&Row) -> Option<f64>| Cells::Float(rows.iter().map(of).collect());
    let int = |of: fn(&Row) -> Option<i64>| Cells::Int(rows.iter().map(of).collect());
    Table::new(vec![
        Column::new("jobs", text(|row| &row.jobs)),
        Column::new("figure", text(|row| &row.figure)),
        Column::new("side", text(|row| &row.side)),
        Column::new("n", int(|row| row.n)),
        Column::new("mean", float(|row| row.mean)),
        Column::new("sd", float(|row| row.sd)),
        Column::new("low", float(|row| row.interval.map(|one| one.low))),
        Column::new("high", float(|row| row.interval.map(|one| one.high))),
        Column::new("difference", float(|row| row.difference)),
        Column::new("difference_low", float(|row| row.difference_interval.map(|one| one.low))),
        Column::new("difference_high", float(|row| row.difference_interval.map(|one| one.high))),
        Column::new("only_first", int(|row| row.only_first)),
        Column::new("only_this", int(|row| row.only_this)),
        Column::new("p", float(|row| row.p)),
    ])
}

fn of_pair(pair: &PairTold, letters: &[&str]) -> Vec<Row> {
    let mut rows = Vec::new();
    for measured in &pair.results {
        for ((letter, of), less) in letters.iter().zip(&measured.of).zip(&measured.less_first) {
            let Some(of) = of else { continue };
            rows.push(Row {
                jobs: pair.name.clone(),
                figure: measured.name.clone(),
                side: (*letter).to_owned(),
                n: i64::try_from(of.n).ok(),
                mean: Some(of.mean),
                sd: of.sd,
                interval: of.interval,
                difference: less.map(|less| less.mean),
                difference_interval: less.and_then(|less| less.interval),
                ..Row::default()
            });
        }
    }
    let count = |count: u64| i64::try_from(count).ok();
    rows.extend(pair.images.iter().map(|test| Row {
        jobs: pair.name.clone(),
        figure: test.what.clone(),
        side: test.side.clone(),
        n: count(test.paired.images()),
        only_first: count(test.paired.only_first),
        only_this: count(test.paired.only_second),
        p: Some(test.paired.p),
        ..Row::default()
    }));
    rows
}
