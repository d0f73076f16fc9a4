//! Names of members. What a name may be is decided here alone.

pub(crate) const BEGIN: &str = "begin.json";
pub(crate) const MANIFEST: &str = "manifest.json";
pub(crate) const INDEX: &str = "index";
pub(crate) const END: &str = "end";
const DATABASE: &str = "database/";
const STORE: &str = "store/";
/// Longer than any path that the database holds.
const LONGEST: usize = 8192;

/// What a member is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind<'n> {
    /// Rows of a table.
    Rows { table: &'n str },
    /// A file, by its path in the store.
    File { path: &'n str },
    /// Of the archive itself.
    Own,
}

/// Of a part of a table's rows.
pub fn part_name(table: &str, part: u64) -> String {
    format!("{DATABASE}{table}/{part:06}")
}

/// Of a file, by its path in the store.
pub fn store_name(path: &str) -> String {
    format!("{STORE}{path}")
}

impl<'n> Kind<'n> {
    /// # Errors
    /// Says what is wrong with a name that no archive of ours has: one that leads elsewhere, or holds what no path does.
    pub(crate) fn of(name: &'n str) -> Result<Self, String> {
        let wrong = |why: &str| Err(format!("the name {name:?} of a member {why}"));
        if name.len() > LONGEST || name.chars().any(char::is_control) {
            return wrong("is no path");
        }
        if name.split('/').any(|part| matches!(part, "" | "." | "..")) {
            return wrong("may lead out of the folder that it is unpacked in");
        }
        if let Some(path) = name.strip_prefix(STORE) {
            return Ok(Self::File { path });
        }
        if let Some((table, part)) = name.strip_prefix(DATABASE).and_then(|rest| rest.split_once('/'))
            && !part.is_empty()
            && part.bytes().all(|byte| byte.is_ascii_digit())
        {
            return Ok(Self::Rows { table });
        }
        if matches!(name, BEGIN | MANIFEST | INDEX) {
            Ok(Self::Own)
        } else {
            wrong("is not one that this program writes")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_what_a_member_is_and_lead_nowhere_else() {
        assert_eq!(Kind::of(&part_name("jobs", 7)), Ok(Kind::Rows { table: "jobs" }));
        assert_eq!(Kind::of(&store_name("jobs/1/a b.bin")), Ok(Kind::File { path: "jobs/1/a b.bin" }));
        assert_eq!(Kind::of(BEGIN), Ok(Kind::Own));
        for name in [
            "store/../x",
            "/etc/passwd",
            "store//x",
            "store/./x",
            "store/",
            "store",
            "../x",
            "",
            "end",
            "x",
            "database/jobs",
            "database/jobs/",
            "database/jobs/x",
            "database/a/b/0",
            "store/a\nb",
            "store/a\0",
        ] {
            assert!(Kind::of(name).is_err(), "{name:?}");
        }
    }
}
