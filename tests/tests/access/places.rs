//! Where a secret might lie, and what is there.

use std::{fs, path::Path};

use anyhow::{Context as _, Result};
use tandem_harness::{Database, command_line};

use crate::{MINUTE, house::House};

/// A place, in words, and all that is there.
pub(crate) type Place = (String, String);

/// Each file below `folder`.
pub(crate) fn files(folder: &Path) -> Result<Vec<Place>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let (kind, path) = (entry.file_type()?, entry.path());
        if kind.is_dir() {
            found.extend(files(&path)?);
        } else if kind.is_file() {
            match fs::read(&path) {
                Ok(bytes) => found.push((path.display().to_string(), String::from_utf8_lossy(&bytes).into_owned())),
                // A file that was written beside its place has got there meanwhile.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(error).with_context(|| path.display().to_string()),
            }
        }
    }
    Ok(found)
}

/// Whether a file of the home is meant to hold secrets, or is Postgres' own: what is in that, [`tables`] shows.
pub(crate) fn is_keeper(home: &Path, file: &str) -> bool {
    let name = Path::new(file).strip_prefix(home).unwrap_or(Path::new(file));
    let is_join_file = name.starts_with("workers") && name.extension().is_some_and(|ending| ending == "join");
    let is_key = name == Path::new("receipt.key")
        || name.starts_with("tls") && name.extension().is_some_and(|ending| ending == "key");
    let is_password = name == Path::new("database-password") || name == Path::new("postgres/password");
    is_join_file || is_key || is_password || name.starts_with("postgres/data")
}

/// Every row of every table, as a dump has it.
pub(crate) fn tables(house: &House) -> Result<Vec<Place>> {
    let up: serde_json::Value = serde_json::from_slice(&fs::read(house.home().join("up.json"))?)?;
    let url = up["database_url"].as_str().context("no database_url")?;
    let password = fs::read_to_string(house.home().join("database-password"))?;
    let database = Database::new(&url.replacen('@', &format!(":{}@", password.trim()), 1), MINUTE)?;
    let tables: Vec<(String,)> = database.rows(
        "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables \
         WHERE schemaname NOT IN ('pg_catalog', 'information_schema')",
    )?;
    let rows = |(table,): (String,)| {
        let rows = database.value(&format!("SELECT coalesce(string_agg(t::text, E'\\n'), '') FROM {table} t"))?;
        Ok((format!("table {table}"), rows))
    };
    tables.into_iter().map(rows).collect()
}

/// What everybody on the machine may read of the house's processes, and what their owner may.
pub(crate) fn processes(house: &House) -> Vec<Place> {
    let of_process = |pid: i32| {
        let line = command_line(pid);
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        let environment = String::from_utf8_lossy(&environment).replace('\0', "\n");
        [(format!("arguments of {pid}"), line.clone()), (format!("environment of {line}"), environment)]
    };
    house.processes().into_iter().flat_map(of_process).collect()
}
