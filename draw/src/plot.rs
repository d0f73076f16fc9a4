//! Metric curves by step: one panel for each metric and group, one line for each name, with a band where it stands for several
//! runs; the layers of a layerwise training share a panel.

use super::{
    canvas::{Error, page},
    legend,
    lines::{Crowd, Line},
    mean,
    panel::{self, Panel},
    strokes::Strokes,
    svg::{Look, Root, printable},
};

/// Smallest width and height of a panel that holds its axes.
const SMALLEST: (u32, u32) = (240, 160);
/// Layers that a job may have a loss of its own for (eq. 4).
const LAYERS: u32 = 4;

/// The values of one metric of one run. Those of one name, metric and group are runs of one thing: their mean is drawn, in a band
/// of a standard deviation to either side.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    /// What stands in the legend. Lines of one name have one colour in all panels.
    pub name: String,
    /// `loss`, `knn_accuracy`, `loss_layer2`.
    pub metric: String,
    /// What may be compared: only lines of one group share a panel and an axis of steps. Empty, if all may.
    pub group: String,
    /// What is counted by its steps; `step`, if empty.
    pub steps: String,
    /// (step, value), in order.
    pub points: Vec<(f64, f64)>,
}

/// What is drawn, and where it will stand.
#[derive(Clone, Copy, Debug)]
pub struct Figure<'a> {
    /// Above the first panel.
    pub title: &'a str,
    /// In this order, each with a panel of its own, and below it one for its layers if there are any.
    pub metrics: &'a [String],
    pub series: &'a [Series],
    pub look: Look,
    /// By powers of ten, but for what is a share; values that are not above zero are left out.
    pub is_log: bool,
    /// Parts of vertical axes that are shown instead of what fits.
    pub ranges: &'a [Range],
    /// Width and height of a panel, in pixels. In a page these are units that scale.
    pub size: (u32, u32),
}

/// From where to where the vertical axis of a metric goes.
#[derive(Clone, Debug, PartialEq)]
pub struct Range {
    /// Of all, if empty.
    pub metric: String,
    /// Both finite; `low` is below `high`.
    pub low: f64,
    pub high: f64,
}

impl Default for Figure<'_> {
    fn default() -> Self {
        Self { title: "", metrics: &[], series: &[], look: Look::Paper, is_log: false, ranges: &[], size: Self::SIZE }
    }
}

impl Figure<'_> {
    /// Of a panel in a file.
    pub const SIZE: (u32, u32) = (900, 380);

    /// Draws what has values.
    ///
    /// # Errors
    /// None that is known: the drawing library says that it may fail.
    pub fn svg(&self) -> Result<String, Error> {
        let panels = self.panels();
        let rows = panels.len().max(1);
        let (width, height) = (self.size.0.max(SMALLEST.0), self.size.1.max(SMALLEST.1));
        let legend = if self.needs_legend(&panels) { legend::WIDTH } else { 0 };
        let description = panel::description(&panels);
        let root = Root {
            class: "curves",
            size: (width + legend, height * u32::try_from(rows).unwrap_or(u32::MAX / height)),
            look: self.look,
            is_fluid: true,
            is_group: false,
            title: self.title,
            description: &description,
        };
        page(root, rows, |row, area| {
            let Some(one) = panels.get(row) else { return panel::nothing(area) };
            let title = if row == 0 { printable(self.title) } else { String::new() };
            let (chart, beside) = area.split_horizontally(width);
            panel::draw(&chart, &title, one)?;
            match one.crowd() {
                Crowd::Many => legend::count(&beside, one.lines.len()),
                _ if legend > 0 => legend::draw(&beside, &one.lines),
                _ => Ok(()),
            }
        })
    }

    /// A page says beside the figure what a single line is of.
    fn needs_legend(&self, panels: &[Panel]) -> bool {
        self.look == Look::Paper || panels.iter().any(|panel| panel.crowd() != Crowd::One)
    }

    fn panels(&self) -> Vec<Panel> {
        let drawn: Vec<&Series> = self.series.iter().filter(|one| one.has_points()).collect();
        let names = in_order(drawn.iter().map(|one| one.name.as_str()));
        let groups = in_order(drawn.iter().map(|one| one.group.as_str()));
        let place = |name: &str| names.iter().position(|other| *other == name).unwrap_or_default();
        let mut panels = Vec::new();
        for metric in self.metrics {
            for group in &groups {
                let of_group: Vec<&Series> = drawn.iter().copied().filter(|one| one.group == *group).collect();
                let Some(first) = of_group.first() else { continue };
                let line = |name: &str, metric: &str, label: String, strength: f64| {
                    let is_run = |one: &&&Series| one.name == name && one.metric == metric;
                    let runs: Vec<&[(f64, f64)]> =
                        of_group.iter().filter(is_run).map(|one| one.points.as_slice()).collect();
                    let label = if runs.len() > 1 { format!("{label} (mean of {})", runs.len()) } else { label };
                    let strokes = Strokes { strength, ..Strokes::at(place(name)) };
                    Line { label, strokes, points: mean::line(&runs) }
                };
                let here = in_order(of_group.iter().map(|one| one.name.as_str()));
                let has =
                    |name: &str, metric: &str| of_group.iter().any(|one| one.name == name && one.metric == metric);
                let own = here.iter().filter(|name| has(name, metric));
                let own = own.map(|name| line(name, metric, printable(name), 1.0)).collect();
                let layers = here.iter().flat_map(|name| (1..=LAYERS).map(move |layer| (*name, layer)));
                let layers = layers.filter_map(|(name, layer)| {
                    let of_layer = of_layer(metric, layer);
                    let label = format!("{}, layer {layer}", printable(name));
                    // Pale colours differ little: the layers have marks of their own.
                    let mark = layer as usize - 1;
                    has(name, &of_layer).then(|| {
                        let line = line(name, &of_layer, label, f64::from(layer + 2) / f64::from(LAYERS + 2));
                        Line { strokes: Strokes { mark, ..line.strokes }, ..line }
                    })
                });
                // Panels of a group share the axis of steps, so that they can be compared.
                let last_step =
                    of_group.iter().flat_map(|one| mean::finite(&one.points)).map(|point| point.0).fold(1.0, f64::max);
                let panel = |shown: String, lines| {
                    let is_share = super::numbers::is_share(metric);
                    let range = self.ranges.iter().rfind(|range| range.metric.is_empty() || range.metric == *metric);
                    Panel {
                        metric: shown,
                        group: if groups.len() > 1 { printable(group) } else { String::new() },
                        x_title: if first.steps.is_empty() { "step".to_owned() } else { printable(&first.steps) },
                        lines,
                        last_step,
                        is_log: self.is_log && !is_share,
                        range: range.map(|range| (range.low, range.high)),
                    }
                };
                panels.extend([panel(metric.clone(), own), panel(format!("{metric}_by_layer"), layers.collect())]);
            }
        }
        panels.retain(|panel| !panel.lines.is_empty());
        panels
    }
}

impl Series {
    /// Whether there is something that an axis can show.
    #[must_use]
    pub fn has_points(&self) -> bool {
        mean::finite(&self.points).next().is_some()
    }
}

/// `loss` and `loss_layer1` to `loss_layer4`: what the panels of `loss` are drawn from.
pub fn with_layers(metric: &str) -> impl Iterator<Item = String> {
    std::iter::once(metric.to_owned()).chain((1..=LAYERS).map(move |layer| of_layer(metric, layer)))
}

fn of_layer(metric: &str, layer: u32) -> String {
    format!("{metric}_layer{layer}")
}

/// Each once, by its first place.
fn in_order<'a>(all: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut each: Vec<&str> = Vec::new();
    for one in all {
        if !each.contains(&one) {
            each.push(one);
        }
    }
    each
}

#[cfg(test)]
mod tests;
