use std::{fs, path::Path};

/// The address (`http://HOST:PORT`) that a coordinator wrote to its announce file; `None` while it has not.
#[must_use]
pub fn announced_address(announce: &Path) -> Option<String> {
    // The coordinator writes the file whole or not at all.
    let announced: serde_json::Value = serde_json::from_slice(&fs::read(announce).ok()?).ok()?;
    Some(announced["address"].as_str()?.to_owned())
}
