//! Which house a state folder belongs to: that of the coordinator that first took its worker.
//!
//! What the folder holds to be reported is of attempts of that house. One that was restored from a backup is another, although it
//! knows the same attempts.

use std::{fs, io, path::Path};

use anyhow::Context;

const FILE: &str = "house";
/// Longer than an id.
const LONGEST: usize = 200;

/// Its id; empty of a folder whose worker no house has taken yet.
///
/// # Errors
/// Where what is there cannot be read.
pub(crate) fn of(state: &Path) -> anyhow::Result<String> {
    let path = state.join(FILE);
    match fs::read_to_string(&path) {
        Ok(text) => Ok(text.trim().chars().take(LONGEST).collect()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

/// Remembers it.
pub(crate) fn keep(state: &Path, id: &str) -> io::Result<()> {
    tandem_durable::replace(&state.join(FILE), format!("{id}\n").as_bytes(), tandem_durable::Mode::Shared)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_of_no_house_until_it_is_of_one() {
        let state = tempfile::tempdir().unwrap();
        assert_eq!(of(state.path()).unwrap(), "");
        keep(state.path(), "a-house").unwrap();
        assert_eq!(of(state.path()).unwrap(), "a-house");
    }
}
