use std::fs;
use std::path::{Path, PathBuf};

use image::{Rgb, RgbImage};
use tar::{Builder, EntryType, Header};

use super::*;
use crate::{Error, IMAGE, check, decode, list as list_folder};

const QUIET: &(dyn Fn() + Sync) = &|| ();

fn folder() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    let long = format!("test/cat/{}/{}.png", "deep-".repeat(20), "name-".repeat(20));
    let names =
        ["train/cat/b.png", "train/cat/a.png", "train/cat/sub/0.png", "train/ant/1.png", "test/ant/1.png", &long];
    for (shade, name) in (1..).zip(names) {
        let path = root.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        RgbImage::from_pixel(30 + u32::from(shade), 32, Rgb([shade, 2 * shade, 9])).save(path).unwrap();
    }
    fs::write(root.path().join("train/cat/notes.txt"), "no image").unwrap();
    root
}

fn packed(root: &Path, from: u64) -> Vec<u8> {
    let listing = list_folder(root, QUIET).unwrap();
    Packing::of(listing).unwrap().parts(from).flat_map(Result::unwrap).collect()
}

fn write(bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("packed.tar");
    fs::write(&path, bytes).unwrap();
    (dir, path)
}

#[test]
fn a_packed_data_set_has_the_images_of_its_folder() {
    let root = folder();
    let (_dir, path) = write(&packed(root.path(), 0));
    let (plain, tar) = (list_folder(root.path(), QUIET).unwrap(), list(&path, "cats", QUIET).unwrap());
    assert_eq!((&plain.classes, &plain.train.labels), (&tar.classes, &tar.train.labels));
    assert_eq!(tar.train.files[0], Path::new("cats/train/ant/1.png"));
    let (of_plain, of_tar) = (check(&plain, 9, QUIET), check(&tar, 9, QUIET));
    assert_eq!(of_plain.facts, of_tar.facts);
    assert!(of_tar.squeezed.unwrap().contains("the first train/ant/1.png of 34x32"));
    let (plain, tar) = (decode(plain, QUIET).unwrap(), decode(tar, QUIET).unwrap());
    assert!(plain.train == tar.train && plain.test == tar.test && plain.classes == tar.classes);
    let halves = [&tar.train, &tar.test].map(|half| crate::checksum(&half.pixels, &half.labels));
    assert_eq!(of_plain.facts.sha256, crate::sha256(&tar.classes, [&halves[0], &halves[1]]));
    assert_eq!((tar.train.pixels.len(), of_plain.facts.train, of_plain.facts.test), (4 * IMAGE, 4, 2));
}

#[test]
fn equal_folders_are_equal_bytes_from_every_byte_on() {
    let (one, other) = (folder(), folder());
    fs::remove_file(other.path().join("train/cat/notes.txt")).unwrap();
    let whole = packed(one.path(), 0);
    assert!(whole == packed(other.path(), 0), "whatever else is in the folder, and whatever the times");
    let listing = list_folder(one.path(), QUIET).unwrap();
    let packing = Packing::of(listing).unwrap();
    assert_eq!(packing.bytes(), whole.len() as u64);
    for from in [1, 511, 512, 700, whole.len() - 1025, whole.len() - 1024, whole.len() - 7, whole.len()] {
        assert!(packed(one.path(), from as u64) == whole[from..], "from {from}");
    }
    let (_dir, path) = write(&whole);
    assert_eq!(packing.sha256(QUIET).unwrap(), sha256(&path, QUIET).unwrap());
}

#[test]
fn a_file_that_changes_meanwhile_is_named() {
    let root = folder();
    let listing = list_folder(root.path(), QUIET).unwrap();
    let packing = Packing::of(listing).unwrap();
    fs::write(root.path().join("train/cat/a.png"), "other").unwrap();
    let error = packing.sha256(QUIET).unwrap_err();
    assert!(matches!(&error, Error::Changed { path } if path.ends_with("train/cat/a.png")), "{error}");
}

/// What is said of a tar with these entries, each a name, a type and a length.
fn refused(entries: &[(&str, EntryType, usize)]) -> String {
    let mut tar = Builder::new(Vec::new());
    for (name, kind, length) in entries {
        let mut header = Header::new_gnu();
        // As a program writes it that means harm.
        header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(*kind);
        header.set_size(*length as u64);
        header.set_cksum();
        tar.append(&header, vec![b'x'; *length].as_slice()).unwrap();
    }
    let (_dir, path) = write(&tar.into_inner().unwrap());
    list(&path, "cats", QUIET).unwrap_err().to_string()
}

#[test]
fn what_anybody_else_may_have_packed_is_refused_by_name() {
    let file = |name| (name, EntryType::Regular, 3);
    for name in ["/train/a/1.png", "train/../../a.png", "train/a/../1.png", "train/.a/1.png", "train/a/1.txt", "notes"]
    {
        assert!(refused(&[file(name)]).contains(&format!("{name} is no image by its name")), "{name}");
    }
    for name in ["train/1.png", "val/a/1.png", "a.png"] {
        assert!(refused(&[file(name)]).contains("is not below train/CLASS/ or test/CLASS/"), "{name}");
    }
    let twice = refused(&[file("train/a/1.png"), file("train/a/1.png")]);
    assert!(twice.contains("train/a/1.png is out of its order"), "{twice}");
    assert!(refused(&[file("test/a/1.png"), file("train/a/1.png")]).contains("out of its order"));
    assert!(refused(&[file("train/a/1.png")]).contains("cats/test holds no image"));
    assert!(refused(&[file("train/a/1.png"), file("train/b/1.png"), file("test/a/1.png")]).contains("`b` is only in"));
    for kind in [EntryType::Symlink, EntryType::Link, EntryType::Directory, EntryType::XHeader, EntryType::GNUSparse] {
        assert!(refused(&[("train/a/1.png", kind, 0)]).contains("an entry of the type"), "{kind:?}");
    }
    let long = refused(&[("././@LongLink", EntryType::GNULongName, 5000)]);
    assert!(long.contains("GNULongName and 5000 bytes"), "{long}");
}

#[test]
fn what_is_cut_off_or_no_tar_is_refused() {
    let whole = packed(folder().path(), 0);
    for bytes in [b"".as_slice(), b"no tar", &whole[..700], &whole[..whole.len() / 2], &[7; 4096]] {
        let (_dir, path) = write(bytes);
        let error = list(&path, "cats", QUIET).unwrap_err();
        assert!(error.to_string().contains("cats"), "{} bytes: {error}", bytes.len());
    }
}
