//! Curves, as points or as what is told of them.

use tandem_proto::v1::Series;

use crate::{Cells, Column, Error, Table};

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
#[derive(Clone, Debug)]
pub struct Told<'a> {
    pub curve: &'a Series,
    /// The newest point.
    pub last: Option<(u64, f64)>,
    pub min: Option<f64>,
    pub max: Option<f64>,
    /// `None` where more is neither better nor worse.
    pub best: Option<f64>,
}

impl<'a> Told<'a> {
    #[must_use]
    pub fn of(curve: &'a Series) -> Self {
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

/// A row for each curve.
///
/// # Errors
/// None that columns of equal lengths could have.
pub fn overview(curves: &[Series]) -> Result<Table, Error> {
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

/// A row for each point.
///
/// # Errors
/// As [`overview`].
pub fn points(curves: &[Series]) -> Result<Table, Error> {
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
    use super::*;
    use crate::{Format, bytes};

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
