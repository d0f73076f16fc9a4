use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;

use super::*;

/// Lists without telling anybody of it.
fn list(folder: &Path) -> Result<Listing, Error> {
    super::list(folder, &|| ())
}

fn touch(root: &Path, name: impl AsRef<OsStr>) {
    let path = root.join(name.as_ref());
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, "").unwrap();
}

fn folder(names: &[&str]) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    names.iter().for_each(|name| touch(root.path(), name));
    root
}

/// Relative paths of the training images.
fn train(root: &Path) -> Vec<String> {
    let listing = list(root).unwrap();
    let files = listing.train.files.iter();
    files.map(|path| path.strip_prefix(root.join("train")).unwrap().display().to_string()).collect()
}

#[test]
fn all_extensions_of_torchvision_are_images_in_any_case() {
    let names = ["a.JPG", "b.jpeg", "c.Png", "d.ppm", "e.BMP", "f.pgm", "g.tif", "h.TIFF", "i.webp"];
    let paths: Vec<String> = names.iter().map(|name| format!("train/cat/{name}")).collect();
    let root = folder(&[&paths.iter().map(String::as_str).collect::<Vec<_>>()[..], &["test/cat/1.png"]].concat());
    assert_eq!(train(root.path()), names.map(|name| format!("cat/{name}")));
    assert_eq!(list(root.path()).unwrap().left_out, None);
}

#[test]
fn files_of_other_names_are_counted_and_named_and_hidden_ones_are_not() {
    let root = folder(&[
        "train/cat/1.png",
        "train/cat/2.jpe",
        "train/cat/sub/3.txt",
        "train/README",
        "train/cat/.DS_Store",
        "train/cat/.thumbs/1.png",
        "test/cat/1.png",
    ]);
    let note = list(root.path()).unwrap().left_out.unwrap();
    assert!(note.starts_with("left out: 3 files (.jpe, .txt, without extension), the first train/README;"), "{note}");
    assert_eq!(train(root.path()), ["cat/1.png"]);
    // However many kinds there are, a few are named.
    (0..20).for_each(|i| touch(root.path(), format!("train/cat/x.{i}")));
    let note = list(root.path()).unwrap().left_out.unwrap();
    assert!(note.starts_with("left out: 23 files (.0, .1,") && note.contains(", ..)"), "{note}");
}

/// As in tiny-imagenet. Folders come in the order of their whole paths, as in torchvision.
#[test]
fn folders_below_a_class_are_read() {
    let root = folder(&[
        "train/n01/images/n01_0.JPEG",
        "train/n01/images-2/1.png",
        "train/n01/images/deep/2.png",
        "train/n01/n01_boxes.txt",
        "test/n01/images/0.JPEG",
    ]);
    assert_eq!(train(root.path()), ["n01/images/n01_0.JPEG", "n01/images-2/1.png", "n01/images/deep/2.png"]);
}

#[test]
fn links_to_folders_are_followed_but_not_in_circles() {
    let root = folder(&["train/cat/1.png", "elsewhere/2.png", "test/cat/1.png"]);
    symlink(root.path().join("elsewhere"), root.path().join("train/cat/more")).unwrap();
    assert_eq!(train(root.path()), ["cat/1.png", "cat/more/2.png"]);
    symlink(root.path().join("train/cat"), root.path().join("train/cat/self")).unwrap();
    let error = list(root.path()).unwrap_err();
    assert!(matches!(&error, Error::Circle { path } if path.ends_with("train/cat/self")), "{error}");
    assert_eq!(error.blame(), Blame::Job);
}

#[test]
fn a_class_that_is_a_link_to_nothing_is_named() {
    let root = folder(&["train/cat/1.png", "test/cat/1.png"]);
    symlink("nothing", root.path().join("train/dog")).unwrap();
    let error = list(root.path()).unwrap_err();
    assert!(error.to_string().contains("train/dog: No such file"), "{error}");
    assert_eq!(error.blame(), Blame::Job);
}

#[test]
fn a_class_folder_is_opened_by_its_name_on_disk_and_compared_by_it() {
    let latin = |half: &str, last: u8| [half.as_bytes(), b"/caf", &[last], b"/1.png"].concat();
    let root = folder(&[]);
    for half in ["train", "test"] {
        touch(root.path(), OsStr::from_bytes(&latin(half, 0xe9)));
    }
    let listing = list(root.path()).unwrap();
    assert_eq!((listing.classes[0].as_bytes(), listing.train.files.len()), (b"caf\xe9".as_slice(), 1));
    // Another name that looks the same once it is shown.
    touch(root.path(), OsStr::from_bytes(&latin("train", 0xe8)));
    let error = list(root.path()).unwrap_err();
    assert!(matches!(error, Error::Classes { .. }), "{error}");
}

#[test]
fn an_empty_class_is_named() {
    let root = folder(&["train/cat/1.png", "train/ant/1.gif", "test/cat/1.png", "test/ant/1.png"]);
    let error = list(root.path()).unwrap_err();
    assert!(matches!(&error, Error::EmptyClass { path, .. } if path.ends_with("train/ant")), "{error}");
}

#[test]
fn a_data_set_that_is_not_here_is_told_from_one_of_another_form() {
    let root = folder(&["train/cat/1.png", "file"]);
    for name in ["nowhere", "file"] {
        let error = list(&root.path().join(name)).unwrap_err();
        assert_eq!(error.blame(), Blame::Input, "{error}");
        assert!(error.to_string().contains(name) && error.to_string().contains("--data"), "{error}");
    }
    symlink("nothing", root.path().join("unmounted")).unwrap();
    assert_eq!(list(&root.path().join("unmounted")).unwrap_err().blame(), Blame::Input);
    let error = list(root.path()).unwrap_err();
    assert!(error.to_string().contains("/test: an image folder needs train/CLASS"), "{error}");
    assert_eq!(error.blame(), Blame::Job);
}
