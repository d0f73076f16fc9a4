//! The database, in one snapshot: all rows into the archive, and the names of files into a file without a name.

use std::{
    fs::File,
    io::{BufWriter, Write},
    path::Path,
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use tandem_archive::{Begin, FORMAT, Partition, Sequence, Table, Writer, part_name};
use tokio::task::spawn_blocking;
use tokio_stream::StreamExt as _;

use super::{failed::Failed, say::Say, work::Work};
use crate::store::{Conn, dump, house, named_files, schema::known_version};

/// Rows in one member: what is in memory at a time.
const PART: usize = 8 << 20;
const WHAT: &str = "reading the database";

/// What was read of the database.
pub(super) struct Dumped {
    pub(super) writer: Writer,
    pub(super) begin: Begin,
    pub(super) tables: Vec<Table>,
    pub(super) sequences: Vec<Sequence>,
    pub(super) partitions: Vec<Partition>,
    /// A line for each file that a row names.
    pub(super) named: File,
    pub(super) named_bytes: u64,
    pub(super) snapshot: Duration,
}

/// Reads everything as it is at one moment, into a new archive.
pub(super) async fn dump(conn: &mut Conn, work: &Work, limit: Duration, say: &Say) -> Result<Dumped, Failed> {
    let began = Instant::now();
    let taken_at = dump::begin(conn, limit).await?;
    let begin = begin(conn, taken_at).await?;
    let cannot_write = |error| Failed::write(&work.out, &error);
    let mut writer =
        Writer::create(&work.out, &begin, work.written.clone(), work.stop.clone()).map_err(cannot_write)?;
    let size = dump::size(conn).await?.unsigned_abs();
    let mut tables = Vec::new();
    let mut done = 0;
    for (name, columns) in dump::tables(conn).await? {
        let mut table = Table { name, columns, rows: 0, parts: 0 };
        let mut part = Vec::new();
        let mut rows = dump::rows(conn, &table.name, &table.columns).await?;
        while let Some(row) = rows.try_next().await? {
            part.extend_from_slice(&row);
            table.rows += 1;
            if part.len() >= PART {
                done += part.len() as u64;
                writer = put(writer, &mut table, std::mem::take(&mut part)).await?.map_err(cannot_write)?;
                say.progress(WHAT, done, size);
            }
        }
        drop(rows);
        if !part.is_empty() {
            done += part.len() as u64;
            writer = put(writer, &mut table, part).await?.map_err(cannot_write)?;
        }
        say.progress(WHAT, done, size);
        tables.push(table);
    }
    let (named, named_bytes) = list_files(conn, &work.out).await?;
    let partitions = dump::partitions(conn).await?;
    let sequences = dump::sequences(conn).await?;
    dump::end(conn).await?;
    Ok(Dumped { writer, begin, tables, sequences, partitions, named, named_bytes, snapshot: began.elapsed() })
}

async fn begin(conn: &mut Conn, taken_at: DateTime<Utc>) -> Result<Begin, Failed> {
    let house = house::read(conn).await?.id.to_string();
    let program = env!("CARGO_PKG_VERSION").to_owned();
    Ok(Begin { format: FORMAT, program, schema: known_version(), house, taken_at })
}

/// On a thread that may wait for the disk.
async fn put(mut writer: Writer, table: &mut Table, part: Vec<u8>) -> Result<std::io::Result<Writer>, Failed> {
    let name = part_name(&table.name, table.parts);
    table.parts += 1;
    Ok(spawn_blocking(move || writer.bytes(&name, &part).map(|()| writer)).await?)
}

/// Beside the archive, where there is room.
async fn list_files(conn: &mut Conn, out: &Path) -> Result<(File, u64), Failed> {
    let folder = out.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let cannot_write = |error| Failed::write(out, &error);
    let mut list = BufWriter::new(tempfile::tempfile_in(folder).map_err(cannot_write)?);
    let mut bytes = 0u64;
    named_files::each(conn, |file| {
        bytes = bytes.saturating_add(file.bytes);
        serde_json::to_writer(&mut list, &file)?;
        list.write_all(b"\n")
    })
    .await?;
    Ok((list.into_inner().map_err(|error| cannot_write(error.into_error()))?, bytes))
}
