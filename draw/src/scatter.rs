//! Points in a plane, in groups: an embedding by its first two components.

use plotters::{prelude::*, style::FontStyle};

use super::{
    canvas::{Area, Axes, Drawn, Error, font, page},
    legend,
    lines::Line,
    numbers,
    strokes::Strokes,
    svg::{Look, Root, printable},
    vertical::Vertical,
};

const WIDTH: u32 = 640;
const HEIGHT: u32 = 600;

/// Points that belong together: of one colour and one mark.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Group {
    pub name: String,
    pub points: Vec<(f64, f64)>,
}

/// One plane.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Panel {
    pub title: String,
    /// Titles of the axes.
    pub x: String,
    pub y: String,
    pub groups: Vec<Group>,
}

/// Planes below each other.
///
/// # Errors
/// None that is known: the drawing library says that it may fail.
pub fn svg(title: &str, panels: &[Panel], look: Look) -> Result<String, Error> {
    let rows = panels.len().max(1);
    let root = Root {
        class: "scatter",
        size: (WIDTH + legend::WIDTH, HEIGHT * u32::try_from(rows).unwrap_or(1)),
        look,
        is_fluid: true,
        is_group: false,
        title,
        description: &description(panels),
    };
    page(root, rows, |row, area| panels.get(row).map_or(Ok(()), |panel| panel.draw(area)))
}

impl Panel {
    fn draw(&self, area: &Area<'_>) -> Drawn {
        let (area, beside) = area.split_horizontally(WIDTH);
        let finite = |points: &[(f64, f64)]| {
            points.iter().copied().filter(|(x, y)| x.is_finite() && y.is_finite()).collect::<Vec<_>>()
        };
        let groups: Vec<Vec<(f64, f64)>> = self.groups.iter().map(|group| finite(&group.points)).collect();
        let span = |side: fn(&(f64, f64)) -> f64| {
            let (low, high) = numbers::range(groups.iter().flatten().map(side), false);
            if low < high { (low, high) } else { (-1.0, 1.0) }
        };
        let (across, up) = (span(|point| point.0), span(|point| point.1));
        let mut builder = ChartBuilder::on(&area);
        builder.margin(16).margin_right(28).x_label_area_size(48).y_label_area_size(72);
        builder.caption(printable(&self.title), font(20.0, FontStyle::Bold));
        let vertical = Vertical::new(up, false);
        let mut chart = builder.build_cartesian_2d(across.0..across.1, vertical.clone())?;
        let axes = Axes {
            x_title: printable(&self.x),
            y_title: printable(&self.y),
            x_labels: 6,
            x_label: &|value| numbers::tick_within(*value, across.1 - across.0),
            y_label: &|height| vertical.label(*height, false),
        };
        axes.draw(&mut chart)?;
        for (place, points) in groups.iter().enumerate() {
            // Pale, as many lie upon each other.
            let strokes = Strokes { strength: 0.6, ..Strokes::at(place) };
            chart.draw_series(points.iter().map(|point| strokes.mark(*point)))?;
        }
        let named = self.groups.iter().enumerate();
        let named = named.map(|(place, group)| Line {
            label: printable(&group.name),
            strokes: Strokes { width: 0, ..Strokes::at(place) },
            points: Vec::new(),
        });
        legend::draw(&beside, &named.collect::<Vec<_>>())
    }
}

/// What a reader of a screen says: where the middle of each group lies.
fn description(panels: &[Panel]) -> String {
    let group = |group: &Group| {
        let count = group.points.len() as f64;
        let middle = |side: fn(&(f64, f64)) -> f64| numbers::tick(group.points.iter().map(side).sum::<f64>() / count);
        format!("{} points of {} around {}, {}", count, group.name, middle(|point| point.0), middle(|point| point.1))
    };
    let panel = |panel: &Panel| {
        let groups = panel.groups.iter().filter(|group| !group.points.is_empty()).map(group);
        format!("{}: {} against {}. {}.", panel.title, panel.y, panel.x, groups.collect::<Vec<_>>().join("; "))
    };
    panels.iter().map(panel).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_told_apart_and_named() {
        let ring = |from: f64| (0..20).map(|place| (from + f64::from(place).cos(), f64::from(place).sin())).collect();
        let groups = ["cat", "dog & <b>"].map(|name| Group { name: name.to_owned(), points: ring(name.len() as f64) });
        let panel = |title: &str| Panel {
            title: title.to_owned(),
            x: "component 1 (40 %)".to_owned(),
            y: "component 2 (12 %)".to_owned(),
            groups: groups.to_vec(),
        };
        let drawn = svg("embedding", &[panel("one"), panel("two")], Look::Paper).unwrap();
        for part in ["component 1 (40 %)\n", "component 2 (12 %)\n", "cat\n", "dog &amp; &lt;b&gt;\n", "one\n", "two\n"]
        {
            assert!(drawn.contains(part), "{part}: {drawn}");
        }
        // A mark for each point, and one for each name.
        assert_eq!(drawn.matches("<polygon").count(), 2 * (2 * 20 + 2), "{drawn}");
        assert!(drawn.contains("20 points of cat around 3."), "{drawn}");
        if let Some(path) = std::env::var_os("TANDEM_PICTURE") {
            std::fs::write(path, drawn).unwrap();
        }
    }

    #[test]
    fn nothing_and_anything_can_be_drawn() {
        let drawn = |points: Vec<(f64, f64)>| {
            let groups = vec![Group { name: "x".to_owned(), points }];
            svg("t", &[Panel { groups, ..Panel::default() }], Look::Page).unwrap()
        };
        assert!(svg("t", &[], Look::Paper).unwrap().ends_with("</svg>\n"));
        for points in [vec![], vec![(f64::NAN, 1.0)], vec![(0.0, 0.0)], vec![(1.0, f64::INFINITY), (2.0, 2.0)]] {
            assert!(drawn(points).ends_with("</svg>\n"));
        }
    }
}
