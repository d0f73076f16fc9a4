//! Figures side by side, as bars: means of several runs, each run as a dot, and how far they lie apart.

use plotters::{prelude::*, style::FontStyle};

use super::{
    canvas::{Area, Axes, Drawn, Error, font, page},
    legend,
    lines::Line,
    mean, numbers,
    palette::{TEXT, rgb},
    strokes::Strokes,
    svg::{Look, Root, printable},
    vertical::Vertical,
};

const WIDTH: u32 = 900;
const HEIGHT: u32 = 420;
/// How far above the axis the marks stand, as a share of it.
const FOOT: f64 = 0.03;
/// Of the room of a group that its bars take together.
const FILLED: f64 = 0.8;

/// Bars that stand together.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Group {
    /// What stands below them.
    pub name: String,
    /// By bar, in the order of the names of bars: the values of the runs. Empty where there is no bar.
    pub bars: Vec<Vec<f64>>,
}

/// What is drawn.
#[derive(Clone, Copy, Debug)]
pub struct Figure<'a> {
    pub title: &'a str,
    /// What the values are, beside the vertical axis; where it is a share by its name, values are in percent.
    pub value: &'a str,
    /// What tells the groups apart, below the horizontal axis.
    pub groups_by: &'a str,
    /// Names of the bars of a group, for the legend.
    pub bars: &'a [String],
    pub groups: &'a [Group],
    pub look: Look,
}

/// One bar, where it stands.
struct Bar {
    from: f64,
    to: f64,
    mean: f64,
    spread: f64,
    values: Vec<f64>,
    strokes: Strokes,
}

impl Figure<'_> {
    /// Bars from zero, so that their lengths can be compared.
    ///
    /// # Errors
    /// None that is known: the drawing library says that it may fail.
    pub fn svg(&self) -> Result<String, Error> {
        let root = Root {
            class: "bars",
            size: (WIDTH + legend::WIDTH, HEIGHT),
            look: self.look,
            is_fluid: true,
            is_group: false,
            title: self.title,
            description: &self.description(),
        };
        page(root, 1, |_, area| self.panel(area))
    }

    fn panel(&self, area: &Area<'_>) -> Drawn {
        let (area, beside) = area.split_horizontally(WIDTH);
        let bars = self.placed();
        let is_share = numbers::is_share(self.value);
        let edges = bars
            .iter()
            .flat_map(|bar| bar.values.iter().copied().chain([bar.mean - bar.spread, bar.mean + bar.spread]));
        let (low, high) = numbers::range(edges.chain([0.0]), false);
        let low = if bars.iter().any(|bar| bar.mean < 0.0) { low } else { 0.0 };
        let high = if is_share && bars.iter().all(|bar| bar.mean <= 1.0) { high.min(1.0) } else { high };
        let vertical = Vertical::new((low, high.max(low + f64::MIN_POSITIVE)), false);
        let mut builder = ChartBuilder::on(&area);
        builder.margin(16).margin_right(28).x_label_area_size(48).y_label_area_size(72);
        builder.caption(printable(self.title), font(20.0, FontStyle::Bold));
        let last = self.groups.len().max(1) as f64 - 0.5;
        let mut chart = builder.build_cartesian_2d(-0.5..last, vertical.clone())?;
        let name = |place: &f64| {
            let group = self.groups.get(place.round().max(0.0) as usize);
            let is_middle = (place - place.round()).abs() < 0.01;
            group.filter(|_| is_middle).map_or_else(String::new, |group| printable(&group.name))
        };
        let axes = Axes {
            x_title: printable(self.groups_by),
            y_title: printable(&self.value.replace('_', " ")),
            x_labels: 2 * self.groups.len() + 1,
            x_label: &name,
            y_label: &|height| vertical.label(*height, is_share),
        };
        axes.draw(&mut chart)?;
        for bar in &bars {
            let height = |value: f64| vertical.within(value);
            let colour = bar.strokes.colour();
            let corners = [(bar.from, height(0.0)), (bar.to, height(bar.mean))];
            // Filled palely, so that what lies upon it is seen on paper, too.
            chart.draw_series([Rectangle::new(corners, colour.mix(0.45).filled())])?;
            chart.draw_series([Rectangle::new(corners, colour.stroke_width(2))])?;
            let middle = f64::midpoint(bar.from, bar.to);
            if bar.spread > 0.0 {
                let (low, high) = (height(bar.mean - bar.spread), height(bar.mean + bar.spread));
                let cap = 0.15 * (bar.to - bar.from);
                let ink = rgb(TEXT).stroke_width(2);
                let line = |from: (f64, f64), to: (f64, f64)| PathElement::new(vec![from, to], ink);
                let caps = [low, high].map(|at| line((middle - cap, at), (middle + cap, at)));
                chart.draw_series(caps.into_iter().chain([line((middle, low), (middle, high))]))?;
            }
            let side = 0.28 * (bar.to - bar.from);
            let dots = if bar.values.len() > 1 { bar.values.as_slice() } else { &[] };
            let dot = |value: &f64| Circle::new((middle + side, height(*value)), 3, rgb(TEXT).filled());
            chart.draw_series(dots.iter().map(dot))?;
            // Told apart without colours by the marks of the legend: all in one line at the foot, where they are no value.
            let foot = if bar.mean < 0.0 { -FOOT } else { FOOT } * (high - low);
            chart.draw_series([bar.strokes.mark((middle, height(foot)))])?;
        }
        let named = self.bars.iter().enumerate();
        let named =
            named.map(|(place, name)| Line { label: printable(name), strokes: Strokes::at(place), points: Vec::new() });
        legend::draw(&beside, &named.collect::<Vec<_>>())
    }

    fn placed(&self) -> Vec<Bar> {
        let width = FILLED / self.bars.len().max(1) as f64;
        let bar = |group: usize, place: usize, values: &[f64]| {
            let (mean, spread) = mean::spread(values)?;
            let from = group as f64 - FILLED / 2.0 + width * place as f64;
            let to = from + 0.92 * width;
            mean.is_finite().then(|| Bar {
                from,
                to,
                mean,
                spread,
                values: values.to_vec(),
                strokes: Strokes::at(place),
            })
        };
        let groups = self.groups.iter().enumerate();
        groups
            .flat_map(|(number, group)| {
                let bars = group.bars.iter().take(self.bars.len()).enumerate();
                bars.filter_map(move |(place, values)| bar(number, place, values))
            })
            .collect()
    }

    /// What a reader of a screen says.
    fn description(&self) -> String {
        let told = |values: &Vec<f64>| {
            let (mean, spread) = mean::spread(values)?;
            if !mean.is_finite() {
                return None;
            }
            let figure = |value: f64| match numbers::is_share(self.value) {
                true => format!("{:.2} %", 100.0 * value),
                false => numbers::tick(value),
            };
            Some(if values.len() > 1 { format!("{} ± {}", figure(mean), figure(spread)) } else { figure(mean) })
        };
        let group = |group: &Group| {
            let bars = self
                .bars
                .iter()
                .zip(&group.bars)
                .filter_map(|(name, values)| Some(format!("{name} {}", told(values)?)));
            format!("{}: {}", group.name, bars.collect::<Vec<_>>().join(", "))
        };
        let groups: Vec<String> = self.groups.iter().map(group).collect();
        format!("{} by {}. {}", self.value.replace('_', " "), self.groups_by, groups.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(groups: &[Group]) -> String {
        let bars = ["supervised".to_owned(), "contrastive <b>".to_owned()];
        let figure = Figure {
            title: "table1",
            value: "test_accuracy",
            groups_by: "labels",
            bars: &bars,
            groups,
            look: Look::Paper,
        };
        figure.svg().unwrap()
    }

    #[test]
    fn a_mean_with_its_spread() {
        let group =
            |name: &str, bars: [&[f64]; 2]| Group { name: name.to_owned(), bars: bars.map(<[f64]>::to_vec).to_vec() };
        let svg = drawn(&[group("100 %", [&[0.9, 0.94, 0.92], &[0.75]]), group("1 %", [&[], &[0.5, 0.7]])]);
        for part in ["table1\n", "labels\n", "test accuracy\n", "100 %\n", "1 %\n", "contrastive &lt;b&gt;"] {
            assert!(svg.contains(part), "{part}: {svg}");
        }
        assert!(svg.contains("100 %: supervised 92.00 % ± 2.00 %, contrastive &lt;b&gt; 75.00 %;"), "{svg}");
        assert_eq!(svg.matches("opacity=\"0.45\"").count(), 3, "no bar where there is no value: {svg}");
        assert_eq!(svg.matches("<circle").count(), 5, "a run alone is the bar: {svg}");
        if let Some(path) = std::env::var_os("TANDEM_PICTURE") {
            std::fs::write(path, svg).unwrap();
        }
    }

    #[test]
    fn nothing_and_anything_can_be_drawn() {
        assert!(drawn(&[]).ends_with("</svg>\n"));
        let wild = |bars: Vec<Vec<f64>>| drawn(&[Group { name: "x".to_owned(), bars }]);
        for bars in [vec![vec![f64::NAN]], vec![vec![0.0]], vec![vec![-1.0, 3.0], vec![7.0]], vec![vec![]; 9]] {
            let svg = wild(bars);
            assert!(svg.ends_with("</svg>\n") && !svg.contains("NaN"), "{svg}");
        }
    }
}
