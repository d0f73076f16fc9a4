//! The paper's tables: rows by a swept key, columns by the kind of model, test accuracies in the cells.

use std::collections::BTreeMap;

use anyhow::{Error, Result};
use tandem_domain::statistics::{self, Summary};
use tandem_proto::v1::Job;
use tandem_tables::{Cells, Column, Format, Table};

use super::{
    job,
    job_specs::{JobSpecs, base, describe, share},
    spread,
    table::{Rows, Style, Text, Tone},
};
use crate::exit::{Exit, Failure};

/// Row keys of the paper's own tables, tried first.
const PAPER: [&str; 2] = ["label_fraction", "tikhonov.lambda"];
/// Columns in the order of the paper.
const MODELS: [&str; 3] = ["supervised", "contrastive", "fine-tuned"];

/// Test accuracies by one swept key and by kind of model.
#[derive(Debug, PartialEq)]
pub(crate) struct Pivot {
    /// The key that the rows are by.
    pub(crate) key: String,
    pub(crate) columns: Vec<String>,
    pub(crate) rows: Vec<PivotRow>,
}

#[derive(Debug, PartialEq)]
pub(crate) struct PivotRow {
    /// Value of the key.
    pub(crate) value: String,
    /// By column; empty where no job is.
    pub(crate) cells: Vec<Vec<Measured>>,
}

/// One job's figure.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Measured {
    pub(crate) job: String,
    pub(crate) value: f64,
}

/// The share of the test set that is classified rightly.
pub(crate) fn test_accuracy(job: &Job) -> Option<f64> {
    // Linear jobs of earlier versions report it only under the second name.
    job::value(&job.results, "test_accuracy").or_else(|| job::value(&job.results, "linear_accuracy"))
}

/// By `key`, or by the first of the paper's keys that differs, or by the only one that does.
///
/// # Errors
/// If no job has a test accuracy, or nothing tells them apart.
pub(crate) fn pivot(jobs: &[Job], key: Option<&str>) -> Result<Pivot> {
    let specs = JobSpecs::new(jobs);
    let measured: Vec<(&Job, f64)> = jobs.iter().filter_map(|job| Some((job, test_accuracy(job)?))).collect();
    let not_found = |message: String| Err(Failure::error(Exit::NotFound, message));
    if measured.is_empty() {
        return not_found("nothing to put in a table: none of the jobs has a test accuracy yet".to_owned());
    }
    let all: Vec<&Job> = measured.iter().map(|(job, _)| *job).collect();
    let varying = specs.varying(&all);
    let paper = || PAPER.into_iter().find(|paper| varying.iter().any(|key| key == paper));
    let other =
        || varying.iter().map(String::as_str).find(|key| *key != "seed").or(varying.first().map(String::as_str));
    let Some(key) = key.or_else(paper).or_else(other) else {
        return not_found("nothing to put down the side of a table: no swept key tells the jobs apart".to_owned());
    };
    let others: Vec<&String> = varying.iter().filter(|name| *name != key && *name != "seed").collect();

    // Columns by (place of the model in the paper, title); cells by the value of the key.
    let mut columns: BTreeMap<(usize, String), BTreeMap<String, Vec<Measured>>> = BTreeMap::new();
    for (job, value) in &measured {
        let Some(row) = specs.value(job, key) else { continue };
        let model = specs.model(job);
        let place = MODELS.iter().position(|known| *known == model).unwrap_or(MODELS.len());
        // Jobs of different base names share a column unless they would share a cell.
        let cell_is_shared = all.iter().any(|other| {
            specs.model(other) == model
                && base(&other.name) != base(&job.name)
                && specs.value(other, key).as_ref() == Some(&row)
        });
        let mut title = if cell_is_shared { base(&job.name).to_owned() } else { model.clone() };
        // So do jobs of one base name that start from different jobs (`from = [..]`).
        let shares_name = |other: &&&Job| specs.model(other) == model && base(&other.name) == base(&job.name);
        let has_rival = |one: &Job, row: &str| {
            all.iter()
                .filter(shares_name)
                .any(|other| from(&other.name) != from(&one.name) && specs.value(other, key).as_deref() == Some(row))
        };
        // If one of them would share a cell, all of that name get a column for each `from`.
        let apart =
            all.iter().filter(shares_name).any(|one| specs.value(one, key).is_some_and(|row| has_rival(one, &row)));
        title.extend(from(&job.name).filter(|_| apart).map(|from| format!(", from {from}")));
        for other in &others {
            if let Some(value) = specs.value(job, other).filter(|_| differs(&specs, &all, job, other)) {
                title.push_str(&format!(", {}", describe(other, &value)));
            }
        }
        let cell = columns.entry((place, title)).or_default().entry(row).or_default();
        cell.push(Measured { job: job.name.clone(), value: *value });
    }
    if columns.is_empty() {
        return not_found(format!("no job has a key `{key}` to put down the side of a table"));
    }
    let mut values: Vec<&String> = columns.values().flat_map(BTreeMap::keys).collect();
    values.sort_by(|a, b| order(key, a, b));
    values.dedup();
    let rows = values.into_iter().map(|value| PivotRow {
        value: value.clone(),
        cells: columns.values().map(|cells| cells.get(value).cloned().unwrap_or_default()).collect(),
    });
    Ok(Pivot {
        key: key.to_owned(),
        rows: rows.collect(),
        columns: columns.keys().map(|(_, title)| title.clone()).collect(),
    })
}

/// The value of `from=` in a job's name.
fn from(name: &str) -> Option<&str> {
    name.split_once("[from=").and_then(|(_, rest)| rest.split([',', ']']).next())
}

/// Whether jobs with this one's kind of model differ in a key.
fn differs(specs: &JobSpecs<'_>, all: &[&Job], job: &Job, key: &str) -> bool {
    let of_same_model: Vec<&Job> = all.iter().copied().filter(|other| specs.model(other) == specs.model(job)).collect();
    of_same_model.iter().any(|other| specs.value(other, key) != specs.value(job, key))
}

/// Numbers by size, label fractions from the largest; text by the alphabet.
fn order(key: &str, a: &str, b: &str) -> std::cmp::Ordering {
    match (a.parse::<f64>(), b.parse::<f64>()) {
        (Ok(a), Ok(b)) if key == "label_fraction" => b.total_cmp(&a),
        (Ok(a), Ok(b)) => a.total_cmp(&b),
        _ => a.cmp(b),
    }
}

/// Of one cell; `None` of an empty one.
pub(crate) fn summary(cell: &[Measured]) -> Option<Summary> {
    statistics::summary(&cell.iter().map(|one| one.value).collect::<Vec<_>>())
}

/// What stands at the left of a row.
pub(crate) fn row_title(key: &str, value: &str) -> String {
    if key == "label_fraction" { share(value) } else { value.to_owned() }
}

impl Pivot {
    /// What stands above the rows' titles.
    pub(crate) fn side(&self) -> String {
        match self.key.as_str() {
            "label_fraction" => "LABELS".to_owned(),
            "tikhonov.lambda" => "λ".to_owned(),
            key => key.to_uppercase(),
        }
    }

    pub(crate) fn table(&self, style: Style) -> String {
        let side = self.side();
        let titles: Vec<String> =
            std::iter::once(side).chain(self.columns.iter().map(|one| one.to_uppercase())).collect();
        let mut rows = Rows::new(style, &titles.iter().map(String::as_str).collect::<Vec<_>>());
        for row in &self.rows {
            let side = row_title(&self.key, &row.value);
            let cells = row.cells.iter().map(|cell| match written(cell) {
                Some(figure) => figure.into(),
                None => Text::new("-", Tone::Faint),
            });
            rows.row(std::iter::once(side.into()).chain(cells));
        }
        (0..=self.columns.len()).for_each(|column| rows.right(column));
        rows.to_string()
    }

    /// For a paper the table as it is; for a program a row for each cell, with its numbers.
    pub(crate) fn data(&self, format: Format) -> Result<Table> {
        let columns = match format {
            Format::Markdown | Format::Latex => self.as_it_is(),
            Format::Csv | Format::Json | Format::Parquet => self.by_cell(),
        };
        Table::new(columns).map_err(Error::new)
    }

    fn as_it_is(&self) -> Vec<Column> {
        let sides = self.rows.iter().map(|row| Some(row_title(&self.key, &row.value))).collect();
        let side = Column::new(&self.side().to_lowercase(), Cells::Text(sides));
        let column = |(at, title): (usize, &String)| {
            let cells = self.rows.iter().map(|row| row.cells.get(at).and_then(|cell| written(cell))).collect();
            Column::new(title, Cells::Text(cells))
        };
        std::iter::once(side).chain(self.columns.iter().enumerate().map(column)).collect()
    }

    fn by_cell(&self) -> Vec<Column> {
        let mut cells = Vec::new();
        for row in &self.rows {
            let measured = self.columns.iter().zip(&row.cells);
            cells.extend(measured.filter_map(|(title, cell)| Some((&row.value, title, summary(cell)?))));
        }
        let text = |of: fn(&(&String, &String, Summary)) -> String| {
            Cells::Text(cells.iter().map(|one| Some(of(one))).collect())
        };
        vec![
            Column::new(&self.key, text(|(value, ..)| (*value).clone())),
            Column::new("model", text(|(_, title, _)| (*title).clone())),
            Column::new("accuracy", Cells::Float(cells.iter().map(|(.., summary)| Some(summary.mean)).collect())),
            Column::new("sd", Cells::Float(cells.iter().map(|(.., summary)| summary.sd).collect())),
            Column::new("n", Cells::Int(cells.iter().map(|(.., summary)| i64::try_from(summary.n).ok()).collect())),
        ]
    }
}

/// `93.93 ± 0.12 %`.
fn written(cell: &[Measured]) -> Option<String> {
    summary(cell).map(|summary| spread::mean("test_accuracy", &summary))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::render::job_specs::tests::job;

    fn lines(pivot: &Pivot) -> Vec<String> {
        let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        pivot.table(Style::default()).lines().map(words).collect()
    }

    #[test]
    fn the_papers_first_table() {
        let mut jobs = vec![job("encoder", "contrastive", None, json!({}), None)];
        for (fraction, [supervised, linear, tuned]) in
            [("1.0", [0.9393, 0.7479, 0.7705]), ("0.1", [0.6439, 0.7083, 0.7136]), ("0.01", [0.3092, 0.6756, 0.6694])]
        {
            let spec = json!({"label_fraction": fraction.parse::<f64>().unwrap()});
            let name = |stage: &str| format!("{stage}[label_fraction={fraction}]");
            jobs.push(job(&name("linear"), "linear", Some("encoder"), spec.clone(), Some(linear)));
            jobs.push(job(&name("finetune"), "finetune", Some("encoder"), spec.clone(), Some(tuned)));
            jobs.push(job(&name("supervised"), "supervised", None, spec, Some(supervised)));
        }
        let table = pivot(&jobs, None).unwrap();
        assert_eq!(table.key, "label_fraction");
        assert_eq!(
            lines(&table),
            [
                "LABELS SUPERVISED CONTRASTIVE FINE-TUNED",
                "100 % 93.93 % 74.79 % 77.05 %",
                "10 % 64.39 % 70.83 % 71.36 %",
                "1 % 30.92 % 67.56 % 66.94 %",
            ]
        );
    }

    #[test]
    fn the_papers_second_table_takes_lambda_from_the_encoder() {
        let mut jobs = Vec::new();
        for (lambda, supervised, linear) in
            [("0.1", 0.9334, Some(0.719)), ("1", 0.933, None), ("10", 0.8969, Some(0.6071))]
        {
            let spec = json!({"tikhonov": {"lambda": lambda.parse::<f64>().unwrap()}});
            let name = |stage: &str| format!("{stage}[tikhonov.lambda={lambda}]");
            jobs.push(job(&name("supervised"), "supervised", None, spec.clone(), Some(supervised)));
            jobs.push(job(&name("encoder"), "contrastive", None, spec, None));
            jobs.push(job(&name("linear"), "linear", Some(&name("encoder")), json!({}), linear));
        }
        let table = pivot(&jobs, None).unwrap();
        assert_eq!(
            lines(&table),
            ["λ SUPERVISED CONTRASTIVE", "0.1 93.34 % 71.90 %", "1 93.30 % -", "10 89.69 % 60.71 %"]
        );
    }

    #[test]
    fn seeds_share_a_cell_and_other_keys_make_columns() {
        let jobs: Vec<Job> = [("1", "0.1", 0.5), ("2", "0.1", 0.6), ("1", "0.3", 0.7)]
            .iter()
            .flat_map(|(seed, lr, accuracy)| {
                [1.0, 0.1].map(|fraction| {
                    let name = format!("s[label_fraction={fraction},optimizer.lr={lr},seed={seed}]");
                    job(&name, "supervised", None, json!({}), Some(accuracy * fraction))
                })
            })
            .collect();
        let table = pivot(&jobs, None).unwrap();
        assert_eq!(
            lines(&table),
            [
                "LABELS SUPERVISED, OPTIMIZER.LR = 0.1 SUPERVISED, OPTIMIZER.LR = 0.3",
                "100 % 55.00 ± 7.07 % 70.00 %",
                "10 % 5.50 ± 0.71 % 7.00 %",
            ]
        );
        assert_eq!(pivot(&jobs, Some("seed")).unwrap().rows.len(), 2);
        let data =
            |format| String::from_utf8(tandem_tables::bytes(&table.data(format).unwrap(), format).unwrap()).unwrap();
        let csv = data(Format::Csv);
        let lines: Vec<&str> = csv.lines().collect();
        assert_eq!(lines[0], "label_fraction,model,accuracy,sd,n");
        assert_eq!((lines.len(), lines[2]), (5, "1,\"supervised, optimizer.lr = 0.3\",0.7,,1"));
        assert!(lines[1].starts_with("1,\"supervised, optimizer.lr = 0.1\",0.55,0.0707") && lines[1].ends_with(",2"));
        assert!(data(Format::Markdown).contains("| 55.00 ± 7.07 % |"), "{}", data(Format::Markdown));
        assert!(data(Format::Latex).contains(r"55.00 $\pm$ 7.07 \%"), "{}", data(Format::Latex));
    }

    #[test]
    fn jobs_on_different_ones_are_told_apart_by_these() {
        let isolate = |value: &str| json!({"layerwise": {"isolate": value}});
        let mut jobs = Vec::new();
        for (from, isolate, accuracy) in [("plain", isolate("none"), 0.4), ("layers", isolate("none"), 0.5)] {
            jobs.push(job(from, "contrastive", None, isolate, None));
            jobs.push(job(&format!("linear[from={from}]"), "linear", Some(from), json!({}), Some(accuracy)));
        }
        let detached = "layers[layerwise.isolate=detach]";
        jobs.push(job(detached, "contrastive", None, isolate("detach"), None));
        let name = "linear[from=layers,layerwise.isolate=detach]";
        jobs.push(job(name, "linear", Some(detached), json!({}), Some(0.3)));
        assert_eq!(
            lines(&pivot(&jobs, Some("layerwise.isolate")).unwrap()),
            [
                "LAYERWISE.ISOLATE CONTRASTIVE, FROM LAYERS CONTRASTIVE, FROM PLAIN",
                "detach 30.00 % -",
                "none 50.00 % 40.00 %",
            ]
        );
    }

    #[test]
    fn what_cannot_be_a_table_says_why() {
        let message = |jobs: &[Job], key| pivot(jobs, key).unwrap_err().to_string();
        let blank = [job("linear", "linear", None, json!({}), None)];
        assert!(message(&blank, None).contains("none of the jobs has a test accuracy"));
        let single = [job("linear", "linear", None, json!({}), Some(0.5))];
        assert!(message(&single, None).contains("no swept key"));
        assert!(message(&single, Some("depth")).contains("no job has a key `depth`"));
    }
}
