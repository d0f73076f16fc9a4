//! Learning curves, of what runs or has failed, too.

use anyhow::Result;
use tandem_draw::{Look, plot};

use super::{
    document::{Block, Cell, Figure, Section, Table},
    facts::View,
};
use crate::render::spread;

/// Panels, from above.
const METRICS: [&str; 3] = ["loss", "knn_accuracy", "validation_accuracy"];
/// Of a panel, in units that scale.
const SIZE: (u32, u32) = (620, 300);
/// Curves whose ends are told as numbers.
const MOST_TOLD: usize = 60;

/// # Errors
/// None that is known: the drawing library says that it may fail.
pub(crate) fn section(view: &View<'_>) -> Result<Section> {
    let series = &view.facts.training;
    if series.is_empty() {
        return Ok(Section::default());
    }
    let metrics = METRICS.map(str::to_owned);
    let figure = plot::Figure {
        title: "Learning curves",
        metrics: &metrics,
        series,
        look: Look::Page,
        size: SIZE,
        ..plot::Figure::default()
    };
    let caption =
        "By step; runs that differ in their seed alone as their mean, in a band of a standard deviation.".to_owned();
    let mut blocks = vec![Block::Figure(Figure { caption, svg: figure.svg()? })];
    let told = series.iter().filter(|one| METRICS.contains(&one.metric.as_str()) && one.has_points());
    let row = |one: &plot::Series| {
        let (first, last) = (one.points.first()?, one.points.last()?);
        let shown = |value: f64| Cell::from(spread::figure(&one.metric, value));
        let steps = format!("{} {}", last.0, if one.steps.is_empty() { "step" } else { &one.steps });
        Some(vec![one.name.clone().into(), one.metric.clone().into(), steps.into(), shown(first.1), shown(last.1)])
    };
    let rows: Vec<Vec<Cell>> = told.filter_map(row).collect();
    let cut = if rows.len() > MOST_TOLD { format!(" The first {MOST_TOLD} of {}.", rows.len()) } else { String::new() };
    let caption =
        format!("Where each curve begins and ends, thinned as it is drawn; `tandem metrics` has all points.{cut}");
    let heads = ["curve", "metric", "until", "first", "last"].map(str::to_owned).to_vec();
    blocks.push(Block::Table(Table {
        caption,
        heads,
        rows: rows.into_iter().take(MOST_TOLD).collect(),
        numbers_from: 2,
    }));
    Ok(Section::new("Learning curves", blocks))
}
