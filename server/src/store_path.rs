//! Paths in the store's folder: relative to its root, and never outside of it.

use std::path::{Component, Path};

/// The path of a file relative to the store's root, from a relative path, an absolute one or a `file://` URL.
///
/// # Errors
/// Says why the name is no file in the store.
pub(crate) fn path_in_store(name: &str, root: &Path) -> Result<String, String> {
    let path = Path::new(name.strip_prefix("file://").unwrap_or(name));
    let relative = if path.is_absolute() {
        path.strip_prefix(root).map_err(|_| format!("`{name}` is not in the store ({})", root.display()))?
    } else {
        path
    };
    let mut parts = Vec::new();
    for part in relative.components() {
        match part {
            Component::Normal(part) => parts.push(part.to_str().ok_or_else(|| format!("`{name}` is not UTF-8"))?),
            Component::CurDir => {}
            _ => return Err(format!("`{name}` may lead out of the store")),
        }
    }
    if parts.is_empty() || name.contains("://") && !name.starts_with("file://") {
        return Err(format!("`{name}` is no file in the store"));
    }
    Ok(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_ways_to_say_the_same() {
        let root = Path::new("/srv/store");
        for name in ["jobs/7/a.bin", "./jobs/7/a.bin", "/srv/store/jobs/7/a.bin", "file:///srv/store/jobs/7/a.bin"] {
            assert_eq!(path_in_store(name, root).as_deref(), Ok("jobs/7/a.bin"));
        }
    }

    #[test]
    fn nothing_leads_out() {
        let root = Path::new("/srv/store");
        for name in ["../etc/passwd", "jobs/../../x", "/etc/passwd", "file:///etc/passwd", "", "/srv/store", "s3://b/x"]
        {
            assert!(path_in_store(name, root).is_err(), "{name}");
        }
    }
}
