//! Curves as tables.

use tandem_proto::v1::Series;
use tandem_tables::{Cells, Column, Error, Table};

use super::{
    table::{Rows, Style, Text, Tone},
    units,
};

/// What the best value of a curve is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Best {
    Largest,
    Smallest,
    /// More is neither better nor worse.
    Unknown,
}

impl Best {
    fn of(name: &str) -> Self {
        let base = name.split("_layer").next().unwrap_or(name);
        match base {
            _ if base.ends_with("accuracy") => Self::Largest,
            _ if base == "loss" || base.ends_with("_loss") || base.ends_with("error") => Self::Smallest,
            _ => Self::Unknown,
        }
    }
}

/// What is told of a whole curve. Its points may be thinned, as long as the smallest and the largest are there.
struct Told<'a> {
    curve: &'a Series,
    last: Option<(u64, f64)>,
    min: Option<f64>,
    max: Option<f64>,
    best: Option<f64>,
}

impl<'a> Told<'a> {
    fn of(curve: &'a Series) -> Self {
        let finite = || curve.values.iter().copied().filter(|value| value.is_finite());
        let (min, max) = (finite().min_by(f64::total_cmp), finite().max_by(f64::total_cmp));
        let best = match Best::of(&curve.name) {
            Best::Largest => max,
            Best::Smallest => min,
            Best::Unknown => None,
        };
        Self { curve, last: curve.steps.last().copied().zip(curve.values.last().copied()), min, max, best }
    }
}

/// For people: a line for each curve; the names of jobs where there are several.
pub(crate) fn table(curves: &[Series], style: Style) -> String {
    let are_several = curves.iter().any(|one| curves.first().is_some_and(|first| first.job_id != one.job_id));
    let mut headers = if are_several { vec!["JOB"] } else { Vec::new() };
    headers.extend(["METRIC", "POINTS", "LAST", "BEST", "AT STEP"]);
    let first = headers.len() - 4;
    let mut rows = Rows::new(style, &headers);
    for told in curves.iter().map(Told::of) {
        let figure = |value: Option<f64>| match value {
            Some(value) => units::figure(&told.curve.name, value).into(),
            None => Text::new("-", Tone::Faint),
        };
        let mut cells: Vec<Text> = Vec::new();
        cells.extend(are_several.then(|| told.curve.job_name.as_str().into()));
        cells.extend([
            told.curve.name.as_str().into(),
            units::count(told.curve.count).into(),
            figure(told.last.map(|last| last.1)),
            figure(told.best),
            told.last.map_or_else(|| Text::new("-", Tone::Faint), |last| units::count(last.0).into()),
        ]);
        rows.row(cells);
    }
    (first..headers.len()).for_each(|column| rows.right(column));
    rows.to_string()
}

/// For programs: the same.
pub(crate) fn overview(curves: &[Series]) -> Result<Table, Error> {
    let told: Vec<Told<'_>> = curves.iter().map(Told::of).collect();
    let float = |value: fn(&Told<'_>) -> Option<f64>| Cells::Float(told.iter().map(value).collect());
    Table::new(vec![
        Column::new("job", Cells::Text(told.iter().map(|one| Some(one.curve.job_name.clone())).collect())),
        Column::new("job_id", Cells::Text(told.iter().map(|one| Some(one.curve.job_id.clone())).collect())),
        Column::new("metric", Cells::Text(told.iter().map(|one| Some(one.curve.name.clone())).collect())),
        Column::new("points", Cells::Int(told.iter().map(|one| Some(signed(one.curve.count))).collect())),
        Column::new("last_step", Cells::Int(told.iter().map(|one| one.last.map(|last| signed(last.0))).collect())),
        Column::new("last", float(|one| one.last.map(|last| last.1))),
        Column::new("min", float(|one| one.min)),
        Column::new("max", float(|one| one.max)),
        Column::new("best", float(|one| one.best)),
    ])
}

/// For programs: a row for each point.
pub(crate) fn points(curves: &[Series]) -> Result<Table, Error> {
    let each = || curves.iter().flat_map(|one| one.steps.iter().zip(&one.values).map(move |point| (one, point)));
    Table::new(vec![
        Column::new("job", Cells::Text(each().map(|(one, _)| Some(one.job_name.clone())).collect())),
        Column::new("metric", Cells::Text(each().map(|(one, _)| Some(one.name.clone())).collect())),
        Column::new("step", Cells::Int(each().map(|(_, point)| Some(signed(*point.0))).collect())),
        Column::new("value", Cells::Float(each().map(|(_, point)| Some(*point.1)).collect())),
    ])
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use tandem_tables::{Format, bytes};

    use super::*;

    fn curve(job: &str, name: &str, values: &[f64]) -> Series {
        Series {
            job_id: format!("id of {job}"),
            job_name: job.to_owned(),
            name: name.to_owned(),
            steps: (0..values.len() as u64).map(|step| 10 * step).collect(),
            values: values.to_vec(),
            count: 1234,
        }
    }

    #[test]
    fn what_is_told_of_a_curve() {
        let curves = [
            curve("a", "loss", &[5.5, f64::NAN, 4.0, 4.5]),
            curve("a", "knn_accuracy_layer2", &[0.2, 0.5, 0.4]),
            curve("a", "lr", &[0.1]),
        ];
        let text = table(&curves, Style::default());
        let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        let lines: Vec<String> = text.lines().map(words).collect();
        assert_eq!(
            lines,
            [
                "METRIC POINTS LAST BEST AT STEP",
                "loss 1,234 4.500 4.000 30",
                "knn_accuracy_layer2 1,234 40.0 % 50.0 % 20",
                "lr 1,234 0.1000 - 0",
            ]
        );
        let two = table(&[curve("a", "loss", &[1.0]), curve("b", "loss", &[])], Style::default());
        assert!(two.starts_with("JOB") && two.lines().last().is_some_and(|line| line.contains('b')), "{two}");
    }

    #[test]
    fn the_same_for_programs() {
        let curves = [curve("=a", "loss", &[5.5, f64::NAN, -4.0])];
        let csv = |table: &Table| String::from_utf8(bytes(table, Format::Csv).unwrap()).unwrap();
        assert_eq!(
            csv(&overview(&curves).unwrap()),
            "job,job_id,metric,points,last_step,last,min,max,best\n\"'=a\",id of =a,loss,1234,20,-4.0,-4.0,5.5,-4.0\n"
        );
        assert_eq!(
            csv(&points(&curves).unwrap()),
            "job,metric,step,value\n\"'=a\",loss,0,5.5\n\"'=a\",loss,10,NaN\n\"'=a\",loss,20,-4.0\n"
        );
    }
}
