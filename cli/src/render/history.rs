//! Curves as tables.

use tandem_proto::v1::Series;
use tandem_tables::wire::Told;

use super::{
    table::{Rows, Style, Text, Tone},
    units,
};

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

#[cfg(test)]
mod tests {
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
}
