//! Whose a process is, what it is called and since when it runs: from /proc, as far as this account may see.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::MetadataExt,
    sync::{Mutex, PoisonError},
};

use chrono::{DateTime, TimeDelta, Utc};
use nix::unistd::{Uid, User};
use rustix::{param::clock_ticks_per_second, process::getuid};
use tandem_domain::device::{Ancestor, Process, TEXT_MAX, is_ours};

/// So many parents are followed.
const ANCESTORS_MAX: usize = 64;

#[derive(Default)]
pub(super) struct Owners {
    /// Accounts by number: a directory of a network may be slow.
    names: Mutex<BTreeMap<u32, String>>,
}

/// What /proc says of a process.
struct Entry {
    parent: u32,
    uid: u32,
    name: String,
    /// What its first argument calls it, without a folder.
    called: String,
    started: Option<DateTime<Utc>>,
}

impl Owners {
    /// A process of a device. One that cannot be seen from here, as from within a container, is somebody's.
    pub(super) fn process(&self, pid: u32, memory: Option<u64>) -> Process {
        let Some(entry) = Entry::read(pid) else {
            let (user, name) = (String::new(), String::new());
            return Process { pid, user, name, memory, since: None, is_ours: false };
        };
        let is_ours = is_ours(&line(pid, &entry), Some(std::process::id()), getuid().as_raw());
        Process { pid, user: self.account(entry.uid), name: entry.name, memory, since: entry.started, is_ours }
    }

    fn account(&self, uid: u32) -> String {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        let look_up = || {
            let known = User::from_uid(Uid::from_raw(uid)).ok().flatten();
            known.map_or_else(|| format!("uid {uid}"), |user| tidy(&user.name))
        };
        names.entry(uid).or_insert_with(look_up).clone()
    }
}

/// The process, its parent, the parent's parent, ...
fn line(pid: u32, entry: &Entry) -> Vec<Ancestor> {
    let ancestor = |pid, entry: &Entry| Ancestor { pid, name: entry.called.clone(), uid: entry.uid };
    let mut line = vec![ancestor(pid, entry)];
    let mut parent = entry.parent;
    while parent > 0 && line.len() < ANCESTORS_MAX {
        let Some(entry) = Entry::read(parent) else { break };
        line.push(ancestor(parent, &entry));
        parent = entry.parent;
    }
    line
}

impl Entry {
    fn read(pid: u32) -> Option<Self> {
        let folder = format!("/proc/{pid}");
        let uid = fs::metadata(&folder).ok()?.uid();
        let read = |file: &str| fs::read(format!("{folder}/{file}")).unwrap_or_default();
        let (parent, ticks) = parse_stat(&String::from_utf8_lossy(&read("stat")))?;
        let arguments = read("cmdline");
        let first = arguments.split(|byte| *byte == 0).next().unwrap_or_default();
        let called = tidy(String::from_utf8_lossy(first).rsplit('/').next().unwrap_or_default());
        let name = tidy(String::from_utf8_lossy(&read("comm")).trim_end());
        // Of a program that was started by way of /proc/self/exe, as ranks are.
        let name = if name.is_empty() || name == "exe" { called.clone() } else { name };
        Some(Self { parent, uid, name, called, started: boot_time().and_then(|boot| started(boot, ticks)) })
    }
}

/// The parent, and how many ticks after the boot it started. Its name may have blanks and brackets in it.
fn parse_stat(stat: &str) -> Option<(u32, u64)> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(1);
    let parent = fields.next()?.parse().ok()?;
    // The 22nd field of all; the parent is the 4th.
    Some((parent, fields.nth(17)?.parse().ok()?))
}

fn boot_time() -> Option<DateTime<Utc>> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    let seconds = stat.lines().find_map(|line| line.strip_prefix("btime "))?;
    DateTime::from_timestamp(seconds.trim().parse().ok()?, 0)
}

fn started(boot: DateTime<Utc>, ticks: u64) -> Option<DateTime<Utc>> {
    // To the second: it tells a process from another with its number, and must not waver.
    let seconds = ticks.checked_div(clock_ticks_per_second())?;
    boot.checked_add_signed(TimeDelta::try_seconds(i64::try_from(seconds).ok()?)?)
}

/// One short line without anything that steers a terminal, or turns what follows around (Unicode's Bidi_Control): everybody may
/// call a program as they like.
fn tidy(text: &str) -> String {
    let steers = |char: char| {
        char.is_control()
            || matches!(char, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let mut tidy: String = text.chars().map(|char| if steers(char) { '\u{fffd}' } else { char }).collect();
    tidy.truncate(tidy.floor_char_boundary(TEXT_MAX));
    tidy
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_confuses_nobody() {
        let stat = "4711 (a) b (c) S 17 4711 4711 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 123456 9 10";
        assert_eq!(parse_stat(stat), Some((17, 123_456)));
        assert_eq!(parse_stat("4711 (cut"), None);
        assert_eq!(parse_stat(""), None);
    }

    #[test]
    fn this_process_is_found_with_its_account_and_its_age() {
        let owners = Owners::default();
        let own = owners.process(std::process::id(), Some(7));
        assert!(own.is_ours && own.memory == Some(7) && !own.user.is_empty(), "{own:?}");
        let age = Utc::now() - own.since.unwrap();
        assert!(age > TimeDelta::seconds(-3) && age < TimeDelta::hours(12), "{age}");
        assert_eq!(owners.process(std::process::id(), Some(7)).since, own.since, "it does not waver");
        let init = owners.process(1, None);
        assert!(!init.is_ours && init.pid == 1, "{init:?}");
        let nobody = owners.process(u32::MAX, None);
        assert_eq!((nobody.user.as_str(), nobody.is_ours, nobody.since), ("", false, None));
    }

    #[test]
    fn names_are_one_short_line() {
        assert_eq!(tidy("a\u{1b}[2J\nb\u{202e}c"), "a\u{fffd}[2J\u{fffd}b\u{fffd}c");
        assert!(tidy(&"é".repeat(100)).len() <= TEXT_MAX);
    }
}
