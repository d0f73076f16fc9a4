//! `results --table`: the table as data, every job that a cell stands for named.

use serde::Serialize;

use crate::render::pivot::{Pivot, mean_and_spread};

#[derive(Serialize)]
pub(crate) struct Table {
    /// The swept key that the rows are by.
    key: String,
    columns: Vec<String>,
    rows: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    value: serde_json::Value,
    /// One for each column; null where no job is.
    cells: Vec<Option<Cell>>,
}

#[derive(Serialize)]
struct Cell {
    test_accuracy: f64,
    /// Standard deviation, where several jobs share the cell.
    #[serde(skip_serializing_if = "Option::is_none")]
    spread: Option<f64>,
    jobs: Vec<String>,
}

impl From<&Pivot> for Table {
    fn from(pivot: &Pivot) -> Self {
        let rows = pivot.rows.iter().map(|row| Row {
            value: row.value.parse::<f64>().map_or_else(|_| row.value.clone().into(), Into::into),
            cells: row
                .cells
                .iter()
                .map(|cell| {
                    let (test_accuracy, spread) = mean_and_spread(cell)?;
                    let jobs = cell.iter().map(|one| one.job.clone()).collect();
                    Some(Cell { test_accuracy, spread, jobs })
                })
                .collect(),
        });
        Self { key: pivot.key.clone(), columns: pivot.columns.clone(), rows: rows.collect() }
    }
}
