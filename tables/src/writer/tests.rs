use std::io;

use ::parquet::{
    file::reader::{FileReader, SerializedFileReader},
    record::Field,
};
use chrono::{DateTime, Utc};
use proptest::prelude::*;

use super::*;
use crate::column::{Cells, Column};

fn at(micros: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(micros).unwrap()
}

fn sample() -> Table {
    Table::new(vec![
        Column::new("job", Cells::Text(vec![Some("=x, \"y\"".to_owned()), None, Some("größe".to_owned())])),
        Column::new("step", Cells::Int(vec![Some(i64::MAX), Some(-1), None])),
        Column::new("loss", Cells::Float(vec![Some(0.1), Some(f64::INFINITY), None])),
        Column::new("is_best", Cells::Bool(vec![Some(true), None, Some(false)])),
        Column::new("at", Cells::Time(vec![Some(at(1_764_000_000_123_456)), None, Some(at(0))])),
    ])
    .unwrap()
}

#[test]
fn each_format_of_lines() {
    let text = |format| String::from_utf8(bytes(&sample(), format).unwrap()).unwrap();
    assert_eq!(
        text(Format::Csv),
        "job,step,loss,is_best,at\n\"'=x, \"\"y\"\"\",9223372036854775807,0.1,true,2025-11-24T16:00:00.123456Z\n\
         ,-1,inf,,\ngröße,,,false,1970-01-01T00:00:00.000000Z\n"
    );
    let json: serde_json::Value = serde_json::from_str(&text(Format::Json)).unwrap();
    assert_eq!((&json[0]["job"], &json[0]["step"]), (&"=x, \"y\"".into(), &i64::MAX.into()));
    assert_eq!((&json[1]["loss"], &json[2]["at"]), (&serde_json::Value::Null, &"1970-01-01T00:00:00.000000Z".into()));
    assert_eq!(text(Format::Markdown).lines().count(), 5);
    assert!(
        text(Format::Latex).ends_with(" & false & 1970-01-01T00:00:00.000000Z \\\\\n\\bottomrule\n\\end{tabular}\n")
    );
}

fn rows(file: Vec<u8>) -> Vec<Vec<Field>> {
    let reader = SerializedFileReader::new(::bytes::Bytes::from(file)).unwrap();
    let rows = reader.get_row_iter(None).unwrap();
    rows.map(|row| row.unwrap().into_columns().into_iter().map(|(_, field)| field).collect()).collect()
}

#[test]
fn parquet_is_read_back_with_its_types() {
    let file = bytes(&sample(), Format::Parquet).unwrap();
    let rows = rows(file);
    let text = |text: &str| Field::Str(text.to_owned());
    assert_eq!(
        rows,
        [
            vec![
                text("=x, \"y\""),
                Field::Long(i64::MAX),
                Field::Double(0.1),
                Field::Bool(true),
                Field::TimestampMicros(1_764_000_000_123_456),
            ],
            vec![Field::Null, Field::Long(-1), Field::Double(f64::INFINITY), Field::Null, Field::Null],
            vec![text("größe"), Field::Null, Field::Null, Field::Bool(false), Field::TimestampMicros(0)],
        ]
    );
}

/// Another order of numbers is for polars 1 a broken file.
#[test]
fn the_order_of_numbers_is_one_that_all_readers_know() {
    let file = bytes(&sample(), Format::Parquet).unwrap();
    let reader = SerializedFileReader::new(::bytes::Bytes::from(file)).unwrap();
    let about = reader.metadata().file_metadata();
    for column in 0..about.schema_descr().num_columns() {
        let order = about.column_order(column);
        assert!(matches!(order, ::parquet::basic::ColumnOrder::TYPE_DEFINED_ORDER(_)), "{column}: {order:?}");
    }
}

#[test]
fn a_table_without_rows_has_its_columns() {
    let empty =
        Table::new(vec![Column::new("a", Cells::Text(vec![])), Column::new("b", Cells::Float(vec![]))]).unwrap();
    let text = |format| String::from_utf8(bytes(&empty, format).unwrap()).unwrap();
    assert_eq!((text(Format::Csv).as_str(), text(Format::Json).as_str()), ("a,b\n", "[]\n"));
    let reader = SerializedFileReader::new(::bytes::Bytes::from(bytes(&empty, Format::Parquet).unwrap())).unwrap();
    assert_eq!(reader.metadata().file_metadata().schema_descr().num_columns(), 2);
    assert_eq!(reader.metadata().num_row_groups(), 0);
}

#[test]
fn a_long_table_is_written_as_it_comes() {
    let mut writer = Writer::new(Vec::new(), Format::Parquet, &part(0).headings()).unwrap();
    let parts = 30;
    for number in 0..parts {
        writer.write(part(number)).unwrap();
        let Form::Parquet(parquet) = &writer.form else { panic!() };
        assert!(parquet.rows_held() < 140_000, "{}", parquet.rows_held());
    }
    let file = writer.finish().unwrap();
    let reader = SerializedFileReader::new(::bytes::Bytes::from(file)).unwrap();
    assert!(reader.metadata().num_row_groups() > 1);
    assert_eq!(reader.metadata().file_metadata().num_rows(), parts * 10_000);
    assert!(
        reader
            .get_row_iter(None)
            .unwrap()
            .zip(0..)
            .all(|(row, place)| row.unwrap().into_columns()[0].1 == Field::Long(place))
    );
}

fn part(number: i64) -> Table {
    let steps = (10_000 * number..10_000 * (number + 1)).map(Some).collect();
    Table::new(vec![Column::new("step", Cells::Int(steps))]).unwrap()
}

#[test]
fn rows_of_other_columns_are_refused() {
    let mut writer = Writer::new(Vec::new(), Format::Csv, &sample().headings()).unwrap();
    let other = Table::new(vec![Column::new("job", Cells::Int(vec![Some(1)]))]).unwrap();
    let message = writer.write(other).unwrap_err().to_string();
    assert_eq!(message, "this is no table: it was begun with job, step, loss, is_best, at and goes on with job");
}

/// Takes so many bytes and no more.
struct Full(usize);

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(self.0);
        self.0 -= taken;
        if taken == 0 { Err(io::ErrorKind::StorageFull.into()) } else { Ok(taken) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn what_cannot_be_written_is_told() {
    for format in Format::ALL {
        for room in [0, 20, 150_000] {
            let written = Writer::new(Full(room), format, &part(0).headings()).and_then(|mut writer| {
                (0..30).try_for_each(|number| writer.write(part(number)))?;
                writer.finish()
            });
            let error = written.err().unwrap_or_else(|| panic!("{format:?} in {room} bytes"));
            assert!(!matches!(error, Error::Shape(_)), "{error}");
        }
    }
}

proptest! {
    #[test]
    fn texts_of_others_are_read_back_as_they_were(texts in prop::collection::vec(prop::option::of(".{0,20}"), 0..20)) {
        let table = Table::new(vec![Column::new("text", Cells::Text(texts.clone()))]).unwrap();
        let json: Vec<serde_json::Value> = serde_json::from_slice(&bytes(&table, Format::Json).unwrap()).unwrap();
        let json: Vec<Option<String>> = json.iter().map(|row| row["text"].as_str().map(str::to_owned)).collect();
        prop_assert_eq!(&json, &texts);
        let parquet: Vec<Option<String>> = rows(bytes(&table, Format::Parquet).unwrap())
            .into_iter()
            .map(|row| match row.into_iter().next() { Some(Field::Str(text)) => Some(text), _ => None })
            .collect();
        prop_assert_eq!(&parquet, &texts);
        for format in [Format::Markdown, Format::Latex] {
            let text = String::from_utf8(bytes(&table, format).unwrap()).unwrap();
            let frame = if format == Format::Markdown { 2 } else { 7 };
            prop_assert_eq!(text.lines().count(), texts.len() + frame, "{}", text);
        }
    }
}
