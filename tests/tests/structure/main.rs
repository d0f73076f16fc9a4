//! No two source files of a crate reach each other through what they name, so that each crate can be read bottom up.
//!
//! `cargo test -p tandem-tests --test structure -- --nocapture` prints the files of each crate by level: a file names
//! only what files of lower levels define.

#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod resolve;
mod scan;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use petgraph::algo::{condensation, tarjan_scc};
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::EdgeRef as _;

/// An edge carries the names that the first file takes from the second.
type Graph = DiGraph<PathBuf, BTreeSet<String>>;

fn graph_of(root: &Path, source: &Path) -> Graph {
    let modules = scan::crate_modules(source);
    let mut graph = Graph::new();
    let mut nodes: BTreeMap<PathBuf, NodeIndex> = BTreeMap::new();
    let name = |file: &Path| file.strip_prefix(root).unwrap_or(file).to_owned();
    for module in modules.values() {
        nodes.entry(module.file.clone()).or_insert_with(|| graph.add_node(name(&module.file)));
    }
    for (from, names) in resolve::dependencies(&modules) {
        for (name, to) in names {
            let (from, to) = (nodes[&from], nodes[&to]);
            let edge = graph.find_edge(from, to).unwrap_or_else(|| graph.add_edge(from, to, BTreeSet::new()));
            graph[edge].insert(name);
        }
    }
    graph
}

/// Each circle as the arrows that it is made of.
fn circles(graph: &Graph) -> Vec<String> {
    let mut found = Vec::new();
    for files in tarjan_scc(graph).into_iter().filter(|files| files.len() > 1) {
        let mut text = String::new();
        for edge in files.iter().flat_map(|&file| graph.edges(file)).filter(|edge| files.contains(&edge.target())) {
            let (from, to) = (graph[edge.source()].display(), graph[edge.target()].display());
            let names: Vec<&str> = edge.weight().iter().map(String::as_str).collect();
            let _ = writeln!(text, "  {from} -> {to}: {}", names.join(", "));
        }
        found.push(text);
    }
    found
}

/// Files by level, the lowest first. Only for a graph without circles.
fn levels(graph: &Graph) -> Vec<Vec<String>> {
    let ordered = condensation(graph.clone(), true);
    let mut level_of: BTreeMap<NodeIndex, usize> = BTreeMap::new();
    let order = petgraph::algo::toposort(&ordered, None).expect("a condensation has no circle");
    for node in order.into_iter().rev() {
        let below = ordered.neighbors(node).map(|to| level_of[&to] + 1).max().unwrap_or(0);
        level_of.insert(node, below);
    }
    let mut levels = vec![Vec::new(); level_of.values().max().map_or(0, |top| top + 1)];
    for (node, level) in level_of {
        levels[level].extend(ordered[node].iter().map(|file| file.display().to_string()));
    }
    levels.iter_mut().for_each(|level| level.sort());
    levels
}

/// `src/lib.rs` and `src/main.rs` of every member of the workspace.
fn sources(root: &Path) -> Vec<PathBuf> {
    let manifest = std::fs::read_to_string(root.join("Cargo.toml")).unwrap();
    let manifest: toml::Table = manifest.parse().unwrap();
    let members = manifest["workspace"]["members"].as_array().unwrap();
    let folders = members.iter().map(|member| root.join(member.as_str().unwrap()).join("src"));
    folders
        .flat_map(|folder| ["lib.rs", "main.rs"].map(|name| folder.join(name)))
        .filter(|file| file.is_file())
        .collect()
}

#[test]
fn no_crate_has_a_circle_of_files() {
    // Cargo runs a test in its package's folder, which is one below the workspace's.
    let package = std::env::current_dir().unwrap();
    let root = package.parent().unwrap();
    let mut found = Vec::new();
    for source in sources(root) {
        let graph = graph_of(root, &source);
        let circles = circles(&graph);
        if circles.is_empty() {
            println!("{}", source.strip_prefix(root).unwrap().display());
            for (level, files) in levels(&graph).iter().enumerate() {
                println!("  {level:2}  {}", files.join(", "));
            }
        }
        found.extend(circles);
    }
    assert!(found.is_empty(), "files that name each other in a circle:\n\n{}", found.join("\n"));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A crate of these files.
    fn made_of(files: &[(&str, &str)]) -> (tempfile::TempDir, Vec<String>) {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let circles = circles(&graph_of(folder.path(), &folder.path().join("lib.rs")));
        (folder, circles)
    }

    #[test]
    fn two_files_that_name_each_other_are_a_circle() {
        let (_folder, circles) = made_of(&[
            ("lib.rs", "mod a;\nmod b;\n"),
            ("a.rs", "use crate::b::Two;\npub struct One(Two);\n"),
            ("b.rs", "pub enum Two { None, Some(Box<super::a::One>) }\n"),
        ]);
        assert_eq!(circles.len(), 1);
        assert!(circles[0].contains("a.rs -> b.rs: Two") && circles[0].contains("b.rs -> a.rs: One"), "{circles:?}");
    }

    #[test]
    fn a_parent_that_calls_a_child_which_takes_the_parents_type_is_a_circle() {
        let (_folder, circles) = made_of(&[
            ("lib.rs", "mod parent;\n"),
            ("parent/mod.rs", "mod child;\npub struct Thing;\npub fn run() { child::work(&Thing) }\n"),
            ("parent/child.rs", "use super::Thing;\npub fn work(_: &Thing) {}\n"),
        ]);
        assert_eq!(circles.len(), 1, "{circles:?}");
    }

    #[test]
    fn a_circle_by_way_of_a_reexport_or_inside_a_macro_is_found() {
        let (_folder, circles) = made_of(&[
            ("lib.rs", "mod a;\nmod inner;\n"),
            ("a.rs", "use crate::inner::Two;\npub struct One(Two);\npub fn make() {}\n"),
            ("inner/mod.rs", "mod b;\npub use b::*;\n"),
            ("inner/b.rs", "pub struct Two;\nfn f() { println!(\"{:?}\", crate::a::make()) }\n"),
        ]);
        assert_eq!(circles.len(), 1, "{circles:?}");
        assert!(circles[0].contains("a.rs -> inner/b.rs: Two"), "{circles:?}");
    }

    #[test]
    fn reexports_modules_and_tests_alone_make_no_circle() {
        let (_folder, circles) = made_of(&[
            ("lib.rs", "mod a;\nmod b;\npub use a::One;\n"),
            ("a.rs", "use crate::b;\npub struct One;\npub fn f() { b::g() }\n"),
            ("b.rs", "pub fn g() {}\n#[cfg(test)]\nmod tests { use crate::a::One; fn t() { let _ = One; } }\n"),
        ]);
        assert!(circles.is_empty(), "{circles:?}");
    }
}
