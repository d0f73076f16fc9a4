//! Writes one table in every format into a folder, for `tables/check_readers.py`.

use std::{env, error::Error, fs, path::PathBuf};

use chrono::DateTime;
use tandem_tables::{Cells, Column, Format, Table, bytes};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = PathBuf::from(env::args().nth(1).ok_or("usage: sample FOLDER")?);
    let time = DateTime::from_timestamp_micros(1_764_000_000_123_456).ok_or("no such time")?;
    let table = Table::new(vec![
        Column::new("job", Cells::Text(vec![Some("=1+1, \"x\"\n|&".to_owned()), None, Some("größe λ".to_owned())])),
        Column::new("step", Cells::Int(vec![Some(1 << 60), Some(-1), None])),
        Column::new("loss", Cells::Float(vec![Some(0.1), Some(f64::NAN), None])),
        Column::new("is_best", Cells::Bool(vec![Some(true), None, Some(false)])),
        Column::new("at", Cells::Time(vec![Some(time), None, Some(DateTime::UNIX_EPOCH)])),
    ])?;
    for format in Format::ALL {
        fs::write(folder.join(format!("sample.{}", format.ending())), bytes(&table, format)?)?;
    }
    Ok(())
}
