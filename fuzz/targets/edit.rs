//! `tandem submit --set KEY=VALUE --name NAME`: changes to the text of an experiment file.
//!
//! The input is a line for each `--set` (one that begins with `#` is the name), an empty line, and the file. Whatever comes
//! out is TOML where TOML went in, is the text itself where nothing was to change, and does not change again by the same
//! assignment. The file is read as what it is: the command line is a program, not a library.

#![no_main]

use libfuzzer_sys::fuzz_target;
use toml_edit::DocumentMut;

#[rustfmt::skip]
#[path = "../../cli/src/edit.rs"]
mod edit;
#[rustfmt::skip]
#[path = "../../cli/src/exit.rs"]
#[expect(dead_code, reason = "a file of another program")]
mod exit;

fuzz_target!(|input: &str| {
    let (head, file) = input.split_once("\n\n").unwrap_or(("", input));
    let name = head.lines().find_map(|line| line.strip_prefix('#'));
    let assignments: Result<Vec<edit::Assignment>, String> =
        head.lines().filter(|line| !line.starts_with('#')).map(str::parse).collect();
    let Ok(assignments) = assignments else { return };
    let Ok((changed, said)) = edit::apply(file, name, &assignments) else { return };
    let is_toml = file.parse::<DocumentMut>().is_ok();
    if !is_toml || (name.is_none() && assignments.is_empty()) {
        assert_eq!((changed.as_str(), said.len()), (file, 0));
        return;
    }
    assert_eq!(said.len(), assignments.len() + usize::from(name.is_some()));
    let read = changed.parse::<DocumentMut>().expect("what comes out is TOML");
    if let (Some(name), []) = (name, assignments.as_slice()) {
        assert_eq!(read["name"].as_str(), Some(name));
    }
    if let [_] = assignments[..] {
        let (again, _) = edit::apply(&changed, name, &assignments).expect("what was set once can be set again");
        assert_eq!(again, changed, "the same assignment changes it again");
    }
});
