//! Backups and restorations, in words.

use tandem_archive::{Manifest, Problem, Restored, Taken};

use super::{table::pairs, units};

/// So many files are named; all of them stand in the archive's manifest.
const PROBLEMS_SHOWN: usize = 20;

pub(crate) fn taken(taken: &Taken) -> String {
    let seconds = units::duration(taken.seconds);
    pairs(&[
        ("backup", taken.file.clone()),
        ("size", units::bytes(taken.bytes)),
        ("house", taken.house.clone()),
        ("rows", format!("{} in {} tables", units::count(taken.rows), taken.tables)),
        ("files", files(taken.files, taken.file_bytes)),
        ("took", format!("{seconds}, of it {} to read the database", units::duration(taken.snapshot_seconds))),
    ])
}

pub(crate) fn checked(manifest: &Manifest, bytes: u64) -> String {
    let rows = manifest.tables.iter().map(|table| table.rows).sum();
    let not_whole = manifest.problems.len() as u64 + manifest.problems_left_out;
    let not_whole =
        if not_whole == 0 { String::new() } else { format!("{not_whole} files were not when it was taken") };
    pairs(&[
        ("whole", units::bytes(bytes)),
        ("taken", units::moment(manifest.begin.taken_at)),
        ("house", manifest.begin.house.clone()),
        ("written by", format!("tandem {}, schema version {}", manifest.begin.program, manifest.begin.schema)),
        ("rows", format!("{} in {} tables", units::count(rows), manifest.tables.len())),
        ("files", files(manifest.files, manifest.file_bytes)),
        ("not whole", not_whole),
    ])
}

pub(crate) fn restored(restored: &Restored, way_in: &str, keeps_tokens: bool) -> String {
    let tokens = match (restored.revoked, keeps_tokens) {
        (revoked, true) => format!("people's are as they were; {revoked} of workers revoked"),
        (revoked, false) => format!("{revoked} revoked; `tandem token new` makes others"),
    };
    let ended = match restored.ended {
        0 => "nothing ran".to_owned(),
        ended => format!("{ended} ran, and go on from their checkpoints"),
    };
    pairs(&[
        ("house", format!("{}, of {}", restored.house, restored.former_house)),
        ("rows", units::count(restored.rows)),
        ("files", files(restored.files, restored.file_bytes)),
        ("jobs", ended),
        ("tokens", tokens),
        ("workers", "begin anew, each with a new --state folder and a new token".to_owned()),
        ("way in", way_in.to_owned()),
    ])
}

fn files(count: u64, bytes: u64) -> String {
    format!("{}, {}", units::count(count), units::bytes(bytes))
}

pub(crate) fn problems(problems: &[Problem], left_out: u64) -> String {
    let all = problems.len() as u64 + left_out;
    let mut lines = vec![format!("not whole in the store: {all}, all others are in the archive")];
    lines.extend(problems.iter().take(PROBLEMS_SHOWN).map(|Problem { path, why }| format!("  {path}: {why}")));
    let more = all - problems.len().min(PROBLEMS_SHOWN) as u64;
    if more > 0 {
        lines.push(format!("  and {more} more; manifest.json in the archive names them"));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_whole_is_named_and_never_a_screen_full() {
        let one = |i| Problem { path: format!("jobs/{i}"), why: "it is missing".to_owned() };
        let few = problems(&[one(1)], 0);
        assert_eq!(few, "not whole in the store: 1, all others are in the archive\n  jobs/1: it is missing");
        let many = problems(&(0..30).map(one).collect::<Vec<_>>(), 5);
        assert!(
            many.lines().count() == 22 && many.ends_with("and 15 more; manifest.json in the archive names them"),
            "{many}"
        );
    }
}
