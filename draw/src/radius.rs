//! The paper's Figure 2: the share of misclassified images against the distance by which they may be moved, one line per
//! attacked model.

use plotters::{prelude::*, style::FontStyle};

use super::{
    canvas::{Area, Axes, Drawn, Error, font, page},
    legend,
    lines::{Crowd, Line, draw_lines},
    mean, numbers,
    strokes::{Dash, Strokes},
    svg::{Look, Root, printable},
    vertical::Vertical,
};

const WIDTH: u32 = 900;
const PANEL_HEIGHT: u32 = 460;

/// Highest point of the axis of percentages.
const HIGHEST: f64 = 102.0;

/// One attack on one model. Those of one panel, label and model are runs of one thing, as with other seeds: their mean is drawn, in
/// a band of a standard deviation to either side.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// The attack: curves of one attack share a panel.
    pub panel: String,
    /// l2, linf, ...
    pub norm: String,
    pub label: String,
    /// Supervised, contrastive, ...: drawn in one kind of line.
    pub model: String,
    /// (radius, percent), in order.
    pub points: Vec<(f64, f64)>,
}

/// One panel for each attack, in the order of the curves. `counted` names what the percentages are of.
///
/// # Errors
/// None that is known: the drawing library says that it may fail.
pub fn svg(title: &str, counted: &str, curves: &[Curve], look: Look) -> Result<String, Error> {
    let mut panels: Vec<&str> = Vec::new();
    for curve in curves {
        if !panels.contains(&curve.panel.as_str()) {
            panels.push(&curve.panel);
        }
    }
    let rows = panels.len().max(1);
    let root = Root {
        class: "curves",
        size: (WIDTH + legend::WIDTH, PANEL_HEIGHT * u32::try_from(rows).unwrap_or(u32::MAX / PANEL_HEIGHT)),
        look,
        is_fluid: true,
        is_group: false,
        title,
        description: &description(counted, curves),
    };
    page(root, rows, |row, area| {
        let Some(name) = panels.get(row) else { return Ok(()) };
        let lines: Vec<&Curve> = curves.iter().filter(|curve| curve.panel == *name).collect();
        panel(area, &printable(&format!("{title}: {name}")), counted, &lines)
    })
}

/// What a reader of a screen says.
fn description(counted: &str, curves: &[Curve]) -> String {
    let ends = |curve: &Curve| {
        let (radius, percent) = curve.points.last()?;
        Some(format!("{}, {}: {percent:.1} % at {}", curve.panel, curve.label, numbers::tick(*radius)))
    };
    format!("{counted}, by radius. {}", curves.iter().filter_map(ends).collect::<Vec<_>>().join("; "))
}

fn panel(area: &Area<'_>, title: &str, counted: &str, curves: &[&Curve]) -> Drawn {
    let last = curves.iter().flat_map(|curve| &curve.points).map(|(radius, _)| *radius).fold(0.0, f64::max);
    let last = if last > 0.0 { last } else { 1.0 };
    let (area, beside) = area.split_horizontally(WIDTH);
    let mut builder = ChartBuilder::on(&area);
    builder.margin(16).margin_right(28).x_label_area_size(48).y_label_area_size(72);
    builder.caption(title, font(20.0, FontStyle::Bold));
    let vertical = Vertical::new((0.0, HIGHEST), false);
    let mut chart = builder.build_cartesian_2d(0.0..last, vertical.clone())?;
    let norm = curves.first().map_or("", |curve| curve.norm.as_str());
    let axes = Axes {
        x_title: printable(&format!("{norm} distance that the images may be moved by, pixels in [0, 1]")),
        y_title: printable(counted),
        x_labels: 11,
        x_label: &|x| numbers::tick(*x),
        y_label: &|y| format!("{y:.0} %"),
    };
    axes.draw(&mut chart)?;
    let lines = lines(curves);
    let crowd = if lines.len() > 1 { Crowd::Few } else { Crowd::One };
    draw_lines(&mut chart, &vertical, lines.iter(), crowd)?;
    legend::draw(&beside, &lines)
}

/// Solid lines for the first kind of model, dashed for the second, dotted for others; within a kind by colour and mark.
fn lines(curves: &[&Curve]) -> Vec<Line> {
    let mut models: Vec<(&str, usize)> = Vec::new();
    let mut lines: Vec<Line> = Vec::new();
    let mut drawn: Vec<(&str, &str)> = Vec::new();
    for curve in curves {
        let name = (curve.model.as_str(), curve.label.as_str());
        if drawn.contains(&name) {
            continue;
        }
        drawn.push(name);
        let kind = models.iter().position(|(model, _)| *model == curve.model).unwrap_or_else(|| {
            models.push((&curve.model, 0));
            models.len() - 1
        });
        let place = models[kind].1;
        models[kind].1 += 1;
        let is_run = |other: &&&Curve| (other.model.as_str(), other.label.as_str()) == name;
        let runs: Vec<&[(f64, f64)]> = curves.iter().filter(is_run).map(|curve| curve.points.as_slice()).collect();
        let label = printable(&curve.label);
        let label = if runs.len() > 1 { format!("{label} (mean of {})", runs.len()) } else { label };
        let strokes = Strokes { dash: Dash::of(kind), ..Strokes::at(place) };
        lines.push(Line { label, strokes, points: mean::line(&runs) });
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Points of the paper's own raw data (all images, PLB), so that the picture can be looked at:
    /// `TANDEM_PICTURE=figure2.svg cargo test -p tandem-draw radius`.
    #[test]
    fn figure_2() {
        let radii = [0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.75, 1.0];
        let percents = [
            ("supervised", "0", [6.1, 20.7, 39.6, 60.0, 76.2, 87.0, 93.4, 98.7, 99.7, 100.0, 100.0]),
            ("supervised", "1", [6.7, 17.1, 31.1, 47.5, 62.9, 76.3, 86.3, 96.3, 99.3, 100.0, 100.0]),
            ("supervised", "10", [10.3, 17.5, 25.9, 35.9, 46.0, 57.0, 67.1, 83.2, 92.4, 99.2, 99.9]),
            ("contrastive", "0", [30.6, 40.7, 49.4, 57.0, 64.8, 71.9, 78.4, 88.2, 94.7, 99.5, 99.9]),
            ("contrastive", "1", [53.1, 57.3, 62.2, 66.8, 70.5, 74.3, 78.3, 85.0, 90.1, 96.4, 98.3]),
            ("contrastive", "10", [59.7, 62.6, 65.4, 67.9, 69.8, 71.4, 73.6, 76.3, 79.2, 85.6, 89.9]),
        ];
        let curves = percents.map(|(model, lambda, percents)| Curve {
            panel: "PLB".to_owned(),
            norm: "l2".to_owned(),
            label: format!("{model}, λ = {lambda}"),
            model: model.to_owned(),
            points: radii.into_iter().zip(percents).collect(),
        });
        let again = curves.clone().map(|curve| Curve { panel: "PGD".to_owned(), ..curve });
        let counted = "misclassified, % of all images";
        let svg = svg("figure2", counted, &[curves, again].concat(), Look::Paper).unwrap();
        assert!(svg.contains(&format!(" height=\"{}\"", 2 * PANEL_HEIGHT)), "two panels");
        for part in ["figure2: PLB", "figure2: PGD", "l2 distance", "% of all images", "contrastive, λ = 10", "100 %"]
        {
            assert!(svg.contains(part), "{part}");
        }
        if let Some(path) = std::env::var_os("TANDEM_PICTURE") {
            std::fs::write(path, svg).unwrap();
        }
    }
}
