//! Metric curves by step: one panel for each metric and group, one line for each name; the layers of a layerwise training share
//! a panel.

use super::{
    canvas::{Error, Line, page},
    legend,
    panel::{self, Panel},
    svg::{Look, Root, printable},
};

/// Beside the panels, in pixels.
const LEGEND: u32 = 340;
/// Smallest width and height of a panel that holds its axes.
const SMALLEST: (u32, u32) = (240, 160);
/// More points than the panel has pixels are averaged.
const MOST_POINTS: usize = 600;
/// Layers that a job may have a loss of its own for (eq. 4).
const LAYERS: u32 = 4;
/// Beyond this, a sum of points or the span of an axis might not be finite.
const LARGEST: f64 = f64::MAX / 1e9;

/// The values of one metric of one job.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    /// What stands in the legend. Lines of one name have one colour in all panels.
    pub name: String,
    /// `loss`, `knn_accuracy`, `loss_layer2`.
    pub metric: String,
    /// What may be compared: only lines of one group share a panel and an axis of steps. Empty, if all may.
    pub group: String,
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
    /// Width and height of a panel, in pixels. In a page these are units that scale.
    pub size: (u32, u32),
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
        let legend = if self.needs_legend(&panels) { LEGEND } else { 0 };
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
            if legend > 0 { legend::draw(&beside, &one.lines) } else { Ok(()) }
        })
    }

    /// A page says beside the figure what a single line is of.
    fn needs_legend(&self, panels: &[Panel]) -> bool {
        self.look == Look::Paper || panels.iter().any(|panel| panel.lines.len() > 1)
    }

    fn panels(&self) -> Vec<Panel> {
        let drawn: Vec<&Series> = self.series.iter().filter(|one| one.has_points()).collect();
        let names = in_order(drawn.iter().map(|one| one.name.as_str()));
        let groups = in_order(drawn.iter().map(|one| one.group.as_str()));
        let line = |one: &Series, label: String, strength| Line {
            label,
            place: names.iter().position(|name| *name == one.name).unwrap_or_default(),
            strength,
            points: one.averaged(),
        };
        let mut panels = Vec::new();
        for metric in self.metrics {
            for group in &groups {
                let of_group = || drawn.iter().filter(|one| one.group == *group);
                let own = of_group().filter(|one| one.metric == *metric);
                let own = own.map(|one| line(one, printable(&one.name), 1.0)).collect();
                let layers = of_group().filter_map(|one| match layer(&one.metric) {
                    Some((of, layer)) if of == metric => {
                        let label = format!("{}, layer {layer}", printable(&one.name));
                        Some(line(one, label, f64::from(layer) / f64::from(LAYERS)))
                    }
                    _ => None,
                });
                let group = if groups.len() > 1 { printable(group) } else { String::new() };
                // Panels of a group share the axis of steps, so that they can be compared.
                let last_step = of_group().flat_map(|one| &one.points).map(|point| point.0).fold(1.0, f64::max);
                let panel = |metric: String, lines| Panel { metric, group: group.clone(), lines, last_step };
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
        self.finite().next().is_some()
    }

    fn finite(&self) -> impl Iterator<Item = (f64, f64)> {
        let is_small = |value: f64| value.abs() <= LARGEST;
        self.points.iter().copied().filter(move |(step, value)| is_small(*step) && is_small(*value))
    }

    /// In groups of equal size, if there are more than can be seen.
    fn averaged(&self) -> Vec<(f64, f64)> {
        let all: Vec<(f64, f64)> = self.finite().collect();
        let group = all.len().div_ceil(MOST_POINTS).max(1);
        let mean = |points: &[(f64, f64)]| {
            let n = points.len() as f64;
            let (x, y) = points.iter().fold((0.0, 0.0), |(x, y), point| (x + point.0, y + point.1));
            (x / n, y / n)
        };
        all.chunks(group).map(mean).collect()
    }
}

/// `loss` and `loss_layer1` to `loss_layer4`: what the panels of `loss` are drawn from.
pub fn with_layers(metric: &str) -> impl Iterator<Item = String> {
    std::iter::once(metric.to_owned()).chain((1..=LAYERS).map(move |layer| format!("{metric}_layer{layer}")))
}

/// Metric and layer of `loss_layer2`.
fn layer(name: &str) -> Option<(&str, u32)> {
    let (metric, layer) = name.rsplit_once("_layer")?;
    Some((metric, layer.parse().ok()?))
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
