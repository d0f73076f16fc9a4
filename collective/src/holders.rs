//! Who has taken ports, as far as /proc shows it to this account.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use crate::PortRange;

/// How many programs, and processes of each, are named at most.
const NAMED: usize = 4;

/// Names the processes that have sockets on these ports: "tandem-worker (pid 71, 72)".
pub(crate) fn holders(ports: PortRange) -> Option<String> {
    let tables = ["tcp", "tcp6"].map(|name| fs::read_to_string(format!("/proc/net/{name}")).unwrap_or_default());
    let wanted: BTreeSet<String> = tables.iter().flat_map(|table| sockets(table, ports)).collect();
    let mut programs: BTreeMap<String, Vec<u32>> = BTreeMap::new();
    for process in fs::read_dir("/proc").ok()?.flatten() {
        let pid = process.file_name().to_str().and_then(|name| name.parse().ok());
        if let Some(pid) = pid
            && has_one_of(&process.path(), &wanted)
        {
            programs.entry(program(&process.path())).or_default().push(pid);
        }
    }
    in_words(programs)
}

/// The sockets on these ports, as a process' `fd` folder names them, out of the text of /proc/net/tcp.
fn sockets(table: &str, ports: PortRange) -> Vec<String> {
    let socket = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (_, port) = fields.get(1)?.rsplit_once(':')?;
        let inode = fields.get(9)?;
        ports.contains(u16::from_str_radix(port, 16).ok()?).then(|| format!("socket:[{inode}]"))
    };
    table.lines().filter_map(socket).collect()
}

/// False, too, of a process whose files this account may not see.
fn has_one_of(process: &Path, sockets: &BTreeSet<String>) -> bool {
    let Ok(files) = fs::read_dir(process.join("fd")) else { return false };
    let is_wanted = |target: &Path| target.to_str().is_some_and(|name| sockets.contains(name));
    files.flatten().any(|file| fs::read_link(file.path()).is_ok_and(|target| is_wanted(&target)))
}

/// As it was called, without folder.
fn program(process: &Path) -> String {
    let command = fs::read(process.join("cmdline")).unwrap_or_default();
    let name = command.split(|byte| *byte == 0).next().unwrap_or_default();
    let name = String::from_utf8_lossy(name);
    name.rsplit('/').next().filter(|name| !name.is_empty()).unwrap_or("a program").to_owned()
}

fn in_words(programs: BTreeMap<String, Vec<u32>>) -> Option<String> {
    let named = programs.iter().take(NAMED).map(|(name, pids)| {
        let shown: Vec<String> = pids.iter().take(NAMED).map(u32::to_string).collect();
        let more = if pids.len() > NAMED { ", ..." } else { "" };
        format!("{name} (pid {}{more})", shown.join(", "))
    });
    let more = (programs.len() > NAMED).then(|| "others".to_owned());
    let all: Vec<String> = named.chain(more).collect();
    (!all.is_empty()).then(|| all.join(" and "))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn sockets_are_found_by_their_own_port() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:733C 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 23717 1 0 100 0 0 10 0
   1: 0100007F:1F90 0100007F:733C 01 00000000:00000000 00:00000000 00000000  1000        0 23718 1 0 20 4 30 10 -1
   2: broken";
        assert_eq!(sockets(table, "29500-29531".parse().unwrap()), ["socket:[23717]"]);
        assert_eq!(sockets(table, "8080-8080".parse().unwrap()), ["socket:[23718]"]);
    }

    #[test]
    fn a_process_is_named_with_its_number() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let held = holders(format!("{port}-{port}").parse().unwrap()).unwrap();
        assert!(held.contains("tandem_collective") && held.contains(&std::process::id().to_string()), "{held}");
    }

    #[test]
    fn many_are_not_all_named() {
        let programs = |count: u32| (0..count).map(|n| (format!("p{n}"), (0..count).collect())).collect();
        assert_eq!(in_words(programs(0)), None);
        assert_eq!(in_words(programs(2)).unwrap(), "p0 (pid 0, 1) and p1 (pid 0, 1)");
        let many = in_words(programs(6)).unwrap();
        assert!(many.ends_with("p3 (pid 0, 1, 2, 3, ...) and others"), "{many}");
    }
}
