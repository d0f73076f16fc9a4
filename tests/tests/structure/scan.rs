//! What each module of a crate defines, imports and names, read from the source files.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Attribute, Item, UseTree, Visibility};

/// Names of modules from the crate's root on.
pub(crate) type ModulePath = Vec<String>;
/// Segments as written: `["super", "a", "Thing"]`.
pub(crate) type Segments = Vec<String>;

/// One import: `name` stands for `target` in the module.
pub(crate) struct Import {
    pub(crate) name: String,
    pub(crate) target: Segments,
    /// A private import is a use in itself, since the compiler warns of idle ones; a public one may only hand on.
    pub(crate) private: bool,
}

/// One module without its tests.
#[derive(Default)]
pub(crate) struct Module {
    pub(crate) file: PathBuf,
    pub(crate) definitions: BTreeSet<String>,
    pub(crate) imports: Vec<Import>,
    /// Modules of which everything is imported.
    pub(crate) globs: Vec<Segments>,
    /// Every path in the code.
    pub(crate) named: BTreeSet<Segments>,
}

/// All modules of the crate with this root file.
pub(crate) fn crate_modules(root: &Path) -> BTreeMap<ModulePath, Module> {
    let mut modules = BTreeMap::new();
    let folder = root.parent().expect("a root file is in a folder");
    read_file(root, folder, Vec::new(), &mut modules);
    modules
}

fn read_file(file: &Path, children: &Path, path: ModulePath, modules: &mut BTreeMap<ModulePath, Module>) {
    let text = std::fs::read_to_string(file).unwrap_or_else(|error| panic!("cannot read {}: {error}", file.display()));
    let parsed = syn::parse_file(&text).unwrap_or_else(|error| panic!("cannot parse {}: {error}", file.display()));
    read_items(&parsed.items, file, children, path, modules);
}

fn read_items(
    items: &[Item],
    file: &Path,
    children: &Path,
    path: ModulePath,
    modules: &mut BTreeMap<ModulePath, Module>,
) {
    let mut module = Module { file: file.to_owned(), ..Module::default() };
    for item in items.iter().filter(|item| !is_test(attributes(item))) {
        match item {
            Item::Mod(inner) => {
                let name = inner.ident.to_string();
                let inner_path = [path.as_slice(), std::slice::from_ref(&name)].concat();
                let folder = children.join(&name);
                match &inner.content {
                    Some((_, items)) => read_items(items, file, &folder, inner_path, modules),
                    None => {
                        let (flat, nested) = (children.join(format!("{name}.rs")), folder.join("mod.rs"));
                        read_file(if flat.is_file() { &flat } else { &nested }, &folder, inner_path, modules);
                    }
                }
            }
            Item::Use(import) => {
                let private = matches!(import.vis, Visibility::Inherited);
                read_import(&import.tree, &[], private, &mut module);
            }
            item => {
                module.definitions.extend(defined(item));
                Names(&mut module.named).visit_item(item);
            }
        }
    }
    modules.insert(path, module);
}

fn read_import(tree: &UseTree, before: &[String], private: bool, module: &mut Module) {
    let with = |name: String| [before, &[name]].concat();
    match tree {
        UseTree::Path(path) => read_import(&path.tree, &with(path.ident.to_string()), private, module),
        UseTree::Group(group) => group.items.iter().for_each(|tree| read_import(tree, before, private, module)),
        UseTree::Glob(_) => module.globs.push(before.to_vec()),
        UseTree::Name(name) if name.ident == "self" => {
            let name = before.last().cloned().unwrap_or_default();
            module.imports.push(Import { name, target: before.to_vec(), private });
        }
        UseTree::Name(name) => {
            let name = name.ident.to_string();
            module.imports.push(Import { target: with(name.clone()), name, private });
        }
        UseTree::Rename(rename) => {
            let original = rename.ident.to_string();
            let target = if original == "self" { before.to_vec() } else { with(original) };
            module.imports.push(Import { name: rename.rename.to_string(), target, private });
        }
    }
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

fn is_test(attributes: &[Attribute]) -> bool {
    let words = |attribute: &Attribute| match &attribute.meta {
        syn::Meta::List(list) if list.path.is_ident("cfg") => list.tokens.to_string(),
        _ => String::new(),
    };
    attributes.iter().any(|attribute| words(attribute) == "test")
}

fn defined(item: &Item) -> Option<String> {
    let name = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Macro(item) => item.ident.as_ref()?,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::Type(item) => &item.ident,
        _ => return None,
    };
    Some(name.to_string())
}

/// Collects paths, inside the arguments of macros too.
struct Names<'a>(&'a mut BTreeSet<Segments>);

impl<'ast> Visit<'ast> for Names<'_> {
    fn visit_path(&mut self, path: &'ast syn::Path) {
        self.0.insert(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        self.visit_path(&call.path);
        self.tokens(call.tokens.clone());
    }

    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        // `#[command(..)]` and the like name functions and types.
        if let syn::Meta::List(list) = &attribute.meta {
            self.tokens(list.tokens.clone());
        }
    }
}

impl Names<'_> {
    fn tokens(&mut self, tokens: TokenStream) {
        let mut path = Segments::new();
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Ident(name) => {
                    if colons != 2 && !path.is_empty() {
                        self.0.insert(std::mem::take(&mut path));
                    }
                    path.push(name.to_string());
                    colons = 0;
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' => colons += 1,
                other => {
                    self.0.insert(std::mem::take(&mut path));
                    colons = 0;
                    if let TokenTree::Group(group) = other {
                        self.tokens(group.stream());
                    }
                }
            }
        }
        self.0.insert(path);
    }
}
