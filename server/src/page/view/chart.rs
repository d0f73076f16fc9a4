//! Curves of a job, as pictures with words beside.

use tandem_draw::{
    Look,
    plot::{Figure, Series},
};

use super::super::{text::Text, units};
use crate::{
    error::{Error, Result},
    store::points::Curve,
};

/// Points that are read of each curve: more than a picture has pixels for.
pub(super) const POINTS: i64 = 300;
/// Curves that are drawn; the others stand as their last values.
const DRAWN: usize = 8;
/// These first, if they are there: what people look at.
const FIRST: [&str; 5] = ["loss", "knn_accuracy", "validation_accuracy", "train_accuracy", "broken"];
const SIZE: (u32, u32) = (460, 260);

pub(super) struct Chart {
    pub(super) id: String,
    pub(super) name: Text,
    pub(super) last: String,
    /// SVG of our own, which escapes what stands in it.
    pub(super) svg: String,
}

/// The last value of a curve that is not drawn.
pub(super) struct Last {
    pub(super) name: Text,
    pub(super) value: String,
}

/// # Errors
/// None that is known: the drawing library says that it may fail.
pub(super) fn charts(curves: &[Curve]) -> Result<(Vec<Chart>, Vec<Last>)> {
    let mut ordered: Vec<&Curve> = curves.iter().filter(|curve| !curve.values.is_empty()).collect();
    let place = |curve: &Curve| FIRST.iter().position(|first| *first == curve.name).unwrap_or(FIRST.len());
    ordered.sort_by_key(|curve| place(curve));
    let (drawn, rest) = ordered.split_at(ordered.len().min(DRAWN));
    let last = |curve: &Curve| curve.values.last().map(|value| units::figure(&curve.name, *value)).unwrap_or_default();
    let chart = |(number, curve): (usize, &&Curve)| {
        let svg = draw(curve)?;
        Ok(Chart { id: format!("curve-{number}"), name: Text::line(&curve.name), last: last(curve), svg })
    };
    let charts = drawn.iter().enumerate().map(chart).collect::<Result<Vec<_>>>()?;
    let rest = rest.iter().map(|curve| Last { name: Text::line(&curve.name), value: last(curve) });
    Ok((charts, rest.collect()))
}

fn draw(curve: &Curve) -> Result<String> {
    let points = curve.steps.iter().map(|step| *step as f64).zip(curve.values.iter().copied()).collect();
    let name = Text::line(&curve.name).to_string();
    let series = Series { name: name.clone(), metric: name.clone(), points, ..Series::default() };
    let figure = Figure {
        title: &name,
        metrics: std::slice::from_ref(&name),
        series: std::slice::from_ref(&series),
        look: Look::Page,
        size: SIZE,
        ..Figure::default()
    };
    figure.svg().map_err(|error| Error::Bug(error.to_string()))
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn the_loss_goes_first_and_of_many_curves_the_rest_is_told_in_numbers() {
        let curve = |name: String| Curve { job: Uuid::nil(), name, steps: vec![1, 2], values: vec![2.0, 1.0] };
        let mut curves: Vec<Curve> = (0..9).map(|index| curve(format!("a{index}<b>"))).collect();
        curves.push(curve("loss".to_owned()));
        let (charts, rest) = charts(&curves).unwrap();
        assert_eq!((charts.len(), rest.len()), (8, 2));
        assert_eq!((charts[0].name.as_str(), charts[0].last.as_str()), ("loss", "1.000"));
        for chart in &charts {
            assert!(
                chart.svg.contains("<svg") && !chart.svg.contains("style=") && !chart.svg.contains("<b>"),
                "{}",
                chart.svg
            );
        }
    }
}
