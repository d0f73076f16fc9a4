//! Which file defines what another file names.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use crate::scan::{Module, ModulePath};

/// How many imports may lead to one another before a name is given up: a glob may lead in a circle.
const MOST_HOPS: u32 = 12;

/// By file: the names that it takes from other files of the crate, and where they are defined.
pub(crate) fn dependencies(modules: &BTreeMap<ModulePath, Module>) -> BTreeMap<PathBuf, BTreeSet<(String, PathBuf)>> {
    let crate_ = Crate(modules);
    let mut all: BTreeMap<PathBuf, BTreeSet<(String, PathBuf)>> = BTreeMap::new();
    for (path, module) in modules {
        let imported = module.imports.iter().filter(|import| import.private).map(|import| &import.target);
        for segments in module.named.iter().chain(imported) {
            if let Some((name, file)) = crate_.resolve(path, segments, MOST_HOPS)
                && file != &module.file
            {
                all.entry(module.file.clone()).or_default().insert((name, file.clone()));
            }
        }
    }
    all
}

struct Crate<'a>(&'a BTreeMap<ModulePath, Module>);

impl Crate<'_> {
    /// The item that `segments` mean in the module `at`, and its file; `None` for other crates, locals and modules.
    fn resolve(&self, at: &[String], segments: &[String], hops: u32) -> Option<(String, &PathBuf)> {
        let (first, rest) = segments.split_first()?;
        match first.as_str() {
            "crate" => self.descend(&[], rest, hops),
            "self" => self.descend(at, rest, hops),
            "super" => self.descend(at.split_last()?.1, rest, hops),
            _ => self.descend(at, segments, hops),
        }
    }

    fn descend(&self, at: &[String], segments: &[String], hops: u32) -> Option<(String, &PathBuf)> {
        let hops = hops.checked_sub(1)?;
        let (first, rest) = segments.split_first()?;
        if first == "super" {
            return self.descend(at.split_last()?.1, rest, hops);
        }
        let module = self.0.get(at)?;
        // A function may bear the name of a module; only the module has something inside.
        let child = [at, std::slice::from_ref(first)].concat();
        if self.0.contains_key(&child) && !rest.is_empty() {
            return self.descend(&child, rest, hops);
        }
        // Enum variants and associated items belong to the type before them.
        if module.definitions.contains(first) {
            return Some((first.clone(), &module.file));
        }
        let named = module.imports.iter().filter(|import| &import.name == first);
        let through_names = named.map(|import| [import.target.as_slice(), rest].concat());
        let through_globs = module.globs.iter().map(|glob| [glob.as_slice(), segments].concat());
        through_names.chain(through_globs).find_map(|segments| self.resolve(at, &segments, hops))
    }
}
