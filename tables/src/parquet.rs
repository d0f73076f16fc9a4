//! Apache Parquet, by the crate of Apache Arrow, without Arrow.

use std::{io, io::Write, sync::Arc};

use parquet::{
    basic::{Compression, LogicalType, Repetition, TimeUnit, Type as Physical},
    data_type::{BoolType, ByteArray, ByteArrayType, DataType, DoubleType, Int64Type},
    errors::ParquetError,
    file::{
        properties::WriterProperties,
        writer::{SerializedColumnWriter, SerializedFileWriter},
    },
    schema::types::{Type, TypePtr},
};

use super::{
    column::{Cells, Column, Heading, Kind, Table},
    error::Error,
};

/// Rows that are written together: readers skip whole groups, and one group is held in memory.
const GROUP: usize = 128 * 1024;

pub(crate) struct Parquet<W: Write + Send> {
    writer: SerializedFileWriter<W>,
    pending: Vec<Table>,
}

impl<W: Write + Send> Parquet<W> {
    pub(crate) fn new(out: W, headings: &[Heading]) -> Result<Self, Error> {
        let fields = headings.iter().map(field).collect::<Result<Vec<_>, _>>().map_err(cannot)?;
        let schema = Type::group_type_builder("table").with_fields(fields).build().map_err(cannot)?;
        let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
        let writer = SerializedFileWriter::new(out, Arc::new(schema), Arc::new(properties)).map_err(cannot)?;
        Ok(Self { writer, pending: Vec::new() })
    }

    pub(crate) fn write(&mut self, rows: Table) -> Result<(), Error> {
        self.pending.push(rows);
        if self.pending.iter().map(Table::rows).sum::<usize>() >= GROUP { self.write_group() } else { Ok(()) }
    }

    pub(crate) fn finish(mut self) -> Result<W, Error> {
        self.write_group()?;
        let mut out = self.writer.into_inner().map_err(cannot)?;
        out.flush()?;
        Ok(out)
    }

    #[cfg(test)]
    pub(crate) fn rows_held(&self) -> usize {
        self.pending.iter().map(Table::rows).sum()
    }

    fn write_group(&mut self) -> Result<(), Error> {
        let parts = std::mem::take(&mut self.pending);
        if parts.iter().all(|part| part.rows() == 0) {
            return Ok(());
        }
        let mut group = self.writer.next_row_group().map_err(cannot)?;
        let mut place = 0;
        while let Some(mut writer) = group.next_column().map_err(cannot)? {
            for part in parts.iter().filter_map(|part| part.columns().get(place)) {
                cells(&mut writer, part).map_err(cannot)?;
            }
            writer.close().map_err(cannot)?;
            place += 1;
        }
        group.close().map_err(cannot)?;
        Ok(())
    }
}

fn field(heading: &Heading) -> Result<TypePtr, ParquetError> {
    let (physical, logical) = match heading.kind {
        Kind::Text => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
        Kind::Int => (Physical::INT64, None),
        Kind::Float => (Physical::DOUBLE, None),
        Kind::Bool => (Physical::BOOLEAN, None),
        Kind::Time => (Physical::INT64, Some(LogicalType::timestamp(true, TimeUnit::MICROS))),
    };
    let field = Type::primitive_type_builder(&heading.name, physical)
        .with_repetition(Repetition::OPTIONAL)
        .with_logical_type(logical)
        .build()?;
    Ok(Arc::new(field))
}

fn cells(writer: &mut SerializedColumnWriter<'_>, column: &Column) -> Result<(), ParquetError> {
    match &column.cells {
        Cells::Text(cells) => write::<ByteArrayType, _>(writer, cells, |text| ByteArray::from(text.as_str())),
        Cells::Int(cells) => write::<Int64Type, _>(writer, cells, |value| *value),
        Cells::Float(cells) => write::<DoubleType, _>(writer, cells, |value| *value),
        Cells::Bool(cells) => write::<BoolType, _>(writer, cells, |value| *value),
        Cells::Time(cells) => write::<Int64Type, _>(writer, cells, |time| time.timestamp_micros()),
    }
}

/// What is missing is a level without a value.
fn write<T: DataType, C>(
    writer: &mut SerializedColumnWriter<'_>,
    cells: &[Option<C>],
    value: impl Fn(&C) -> T::T,
) -> Result<(), ParquetError> {
    let levels: Vec<i16> = cells.iter().map(|cell| i16::from(cell.is_some())).collect();
    let values: Vec<T::T> = cells.iter().flatten().map(value).collect();
    writer.typed::<T>().write_batch(&values, Some(&levels), None)?;
    Ok(())
}

/// What a file or pipe said stays what it was.
fn cannot(error: ParquetError) -> Error {
    match error {
        ParquetError::External(inner) => match inner.downcast::<io::Error>() {
            Ok(error) => Error::Io(*error),
            Err(other) => Error::Parquet(other.to_string()),
        },
        other => Error::Parquet(other.to_string()),
    }
}
