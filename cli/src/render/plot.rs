//! Metric curves as SVG: one panel per metric, one line per job; the layers of a layerwise job share a panel.

use anyhow::Result;
use plotters::{prelude::*, style::FontStyle};
use tandem_proto::v1::Series;

use super::{
    drawing::{Area, Axes, Drawn, Line, WIDTH, font, page},
    legend, units,
};

/// Width beside the panels.
const LEGEND: u32 = 340;
const PANEL_HEIGHT: u32 = 380;
/// More points than the panel has pixels are averaged.
const MOST_POINTS: usize = 600;
/// Layers that a job may have a loss of its own for (eq. 4).
const LAYERS: u32 = 4;

/// `loss` and `loss_layer1` to `loss_layer4`: what a panel of `loss` is drawn from.
pub(crate) fn with_layers(metric: &str) -> impl Iterator<Item = String> {
    std::iter::once(metric.to_owned()).chain((1..=LAYERS).map(move |layer| format!("{metric}_layer{layer}")))
}

/// Metric and layer of `loss_layer2`.
fn layer(name: &str) -> Option<(&str, u32)> {
    let (metric, layer) = name.rsplit_once("_layer")?;
    Some((metric, layer.parse().ok()?))
}

/// Draws a panel for each of `metrics` that has values, in this order, and below it one for its layers if there are any.
/// The title stands above the first panel, legends stand beside.
pub(crate) fn svg(title: &str, metrics: &[String], series: &[Series]) -> Result<String> {
    let drawn: Vec<&Series> = series.iter().filter(|one| has_points(one)).collect();
    // A job keeps its colour from panel to panel.
    let mut jobs: Vec<&str> = Vec::new();
    for one in &drawn {
        if !jobs.contains(&one.job_name.as_str()) {
            jobs.push(&one.job_name);
        }
    }
    let line = |one: &Series, label: String, strength| Line {
        label,
        job: jobs.iter().position(|job| *job == one.job_name).unwrap_or_default(),
        strength,
        points: points(one),
    };
    let mut panels: Vec<(String, Vec<Line>)> = Vec::new();
    for metric in metrics {
        let whole = drawn.iter().filter(|one| &one.name == metric).map(|one| line(one, one.job_name.clone(), 1.0));
        let by_layer = drawn.iter().filter_map(|one| match layer(&one.name) {
            Some((of, layer)) if of == metric => {
                let label = format!("{}, layer {layer}", one.job_name);
                Some(line(one, label, f64::from(layer) / f64::from(LAYERS)))
            }
            _ => None,
        });
        panels.extend([(metric.clone(), whole.collect()), (format!("{metric}_by_layer"), by_layer.collect())]);
    }
    panels.retain(|(_, lines)| !lines.is_empty());
    // All panels share the axis of steps, so that they can be compared.
    let last_step = drawn.iter().flat_map(|one| &one.steps).copied().max().unwrap_or(0).max(1);
    let rows = panels.len().max(1);
    page((WIDTH + LEGEND, PANEL_HEIGHT * rows as u32), rows, |row, area| {
        let Some((metric, lines)) = panels.get(row) else { return Ok(()) };
        let title = if row == 0 { title } else { "" };
        let (chart, beside) = area.split_horizontally(WIDTH);
        panel(&chart, title, metric, lines, last_step)?;
        legend::draw(&beside, lines)
    })
}

fn panel(area: &Area<'_>, title: &str, metric: &str, lines: &[Line], last_step: u64) -> Drawn {
    let (low, high) = range(lines.iter().flat_map(|line| &line.points).map(|(_, value)| *value), 0.05);
    let mut builder = ChartBuilder::on(area);
    builder.margin(16).margin_right(28).x_label_area_size(44).y_label_area_size(72);
    if !title.is_empty() {
        builder.caption(title, font(20.0, FontStyle::Bold));
    }
    let mut chart = builder.build_cartesian_2d(0.0..last_step as f64, low..high)?;
    let axes = Axes {
        x_title: "step".to_owned(),
        y_title: axis_title(metric),
        x_labels: 8,
        x_label: &|step| units::count(step.max(0.0).round() as u64),
        y_label: &|value| axis_label(metric, *value),
    };
    axes.draw(&mut chart)?;
    for line in lines {
        let (curve, style) = (line.points.iter().copied(), line.style());
        if line.is_dashed() {
            chart.draw_series(DashedLineSeries::new(curve, 8, 5, style))?;
        } else {
            chart.draw_series(LineSeries::new(curve, style))?;
        }
        // Few points are marked: the line between them was not measured.
        let marks = if line.points.len() <= 40 { line.points.as_slice() } else { &[] };
        chart.draw_series(marks.iter().map(|point| Circle::new(*point, 3, line.colour().filled())))?;
    }
    Ok(())
}

fn is_accuracy(metric: &str) -> bool {
    metric.trim_end_matches("_by_layer").ends_with("accuracy")
}

fn axis_title(metric: &str) -> String {
    metric.replace("knn", "kNN").replace('_', " ")
}

fn axis_label(metric: &str, value: f64) -> String {
    if is_accuracy(metric) { format!("{:.0} %", 100.0 * value) } else { units::tick(value) }
}

pub(crate) fn has_points(series: &Series) -> bool {
    !points(series).is_empty()
}

/// Beyond this, a sum of points or the span of an axis might not be finite.
const LARGEST: f64 = f64::MAX / 1e9;

/// Points that an axis can show, averaged in groups of equal size if there are more than can be seen.
fn points(series: &Series) -> Vec<(f64, f64)> {
    let all: Vec<(f64, f64)> = series
        .steps
        .iter()
        .zip(&series.values)
        .filter(|(_, value)| value.abs() <= LARGEST)
        .map(|(step, value)| (*step as f64, *value))
        .collect();
    let group = all.len().div_ceil(MOST_POINTS).max(1);
    let mean = |points: &[(f64, f64)]| {
        let n = points.len() as f64;
        let (x, y) = points.iter().fold((0.0, 0.0), |(x, y), point| (x + point.0, y + point.1));
        (x / n, y / n)
    };
    all.chunks(group).map(mean).collect()
}

/// Smallest and largest value with a margin; never empty, so that a single point can be drawn.
fn range(values: impl Iterator<Item = f64>, margin: f64) -> (f64, f64) {
    let (min, max) =
        values.fold((f64::INFINITY, f64::NEG_INFINITY), |(min, max), value| (min.min(value), max.max(value)));
    let width = max - min;
    if width > 0.0 {
        (min - margin * width, max + margin * width)
    } else {
        let half = (0.05 * min.abs()).max(0.5);
        (min - half, max + half)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(job: &str, name: &str, values: &[f64]) -> Series {
        Series {
            job_name: job.to_owned(),
            name: name.to_owned(),
            steps: (0..values.len() as u64).collect(),
            values: values.to_vec(),
            ..Series::default()
        }
    }

    #[test]
    fn a_job_has_one_colour_in_all_panels() {
        let all = [series("b", "loss", &[2.0, 1.0]), series("a", "loss", &[3.0, 1.0]), series("a", "lr", &[0.1, 0.2])];
        let svg = svg("x", &["loss".to_owned(), "lr".to_owned()], &all).unwrap();
        // Two strokes for each line: the curve and its sample in the legend.
        let strokes = |colour: &str| svg.matches(&format!("stroke=\"{colour}\"")).count();
        assert_eq!((strokes("#0072B2"), strokes("#D55E00")), (2, 4), "{svg}");
    }

    #[test]
    fn each_metric_that_has_values_is_a_panel() {
        let all = [
            series("encoder", "loss", &[5.5, 5.0, f64::NAN, 4.6]),
            series("other <&>", "loss", &[5.4, 4.9]),
            series("encoder", "knn_accuracy", &[0.4]),
        ];
        let metrics = ["loss", "knn_accuracy", "alignment"].map(str::to_owned);
        let svg = svg("quickstart", &metrics, &all).unwrap();
        assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
        assert!(svg.contains(&format!("height=\"{}\"", 2 * PANEL_HEIGHT)), "two panels");
        for part in ["quickstart", "encoder", "kNN accuracy", "step", "loss"] {
            assert!(svg.contains(part), "{part}");
        }
        assert!(!svg.contains("other <&>"), "names are escaped");
        assert!(!svg.contains("NaN"));
    }

    #[test]
    fn layers_of_a_metric_share_a_panel() {
        let layers =
            (1..=4).map(|layer| series("encoder", &format!("loss_layer{layer}"), &[5.0, 4.0 + f64::from(layer)]));
        let all: Vec<Series> = [series("encoder", "loss", &[5.5, 5.0])].into_iter().chain(layers).collect();
        let svg = svg("layerwise", &["loss".to_owned()], &all).unwrap();
        assert!(svg.contains(&format!("height=\"{}\"", 2 * PANEL_HEIGHT)), "loss, and loss by layer");
        for part in ["loss by layer", "encoder, layer 1", "encoder, layer 4"] {
            assert!(svg.contains(part), "{part}");
        }
        assert_eq!(with_layers("loss").last().unwrap(), "loss_layer4");
    }

    #[test]
    fn many_points_are_averaged_and_none_is_lost() {
        let values: Vec<f64> = (0..10_000).map(f64::from).collect();
        let points = points(&series("encoder", "loss", &values));
        assert!(points.len() <= MOST_POINTS);
        assert_eq!(points.first(), Some(&(8.0, 8.0)));
        let mean = points.iter().map(|point| point.1).sum::<f64>() / points.len() as f64;
        assert!((mean - 5000.0).abs() < 10.0, "{mean}");
    }

    #[test]
    fn huge_values_do_not_keep_it_drawing_for_ever() {
        let huge = |values: &[f64]| svg("x", &["loss".to_owned()], &[series("encoder", "loss", values)]).unwrap();
        for values in [vec![1.7e308, -1.7e308, 1.0], vec![1e308, -1e308], vec![1.5e308; 1300], vec![1e305, -1e305, 0.0]]
        {
            assert!(huge(&values).ends_with("</svg>\n"));
        }
        assert!(!has_points(&series("encoder", "loss", &[f64::NAN, f64::INFINITY, f64::MAX])));
    }

    #[test]
    fn a_single_value_has_a_range() {
        assert_eq!(range([4.0].into_iter(), 0.05), (3.5, 4.5));
        assert_eq!(range([0.0, 10.0].into_iter(), 0.1), (-1.0, 11.0));
    }
}
