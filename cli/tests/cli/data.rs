use std::{fs, path::Path};

use tandem_proto::v1;

use crate::{
    Run,
    coordinator::{Coordinator, Script},
    run,
};

/// Nobody answers there: a data set is got without a coordinator.
const NOBODY: &str = "http://127.0.0.1:1";

#[tokio::test]
async fn a_set_that_is_there_is_not_fetched_again() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("cifar-100-binary");
    fs::create_dir(&folder).unwrap();
    for file in ["train.bin", "test.bin"] {
        fs::write(folder.join(file), "images").unwrap();
    }
    let data = dir.path().to_str().unwrap();
    let get = run(NOBODY, &["data", "get", "cifar100", "--data", data, "--json"]).await;
    assert_eq!(get.code(), Some(0), "{}", get.stderr());
    assert_eq!(get.json()["present"], true);
    assert_eq!(get.json()["folder"], folder.to_str().unwrap());
}

#[tokio::test]
async fn a_download_that_fails_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let args = ["data", "get", "cifar10", "--data", data.to_str().unwrap(), "--from", "http://127.0.0.1:1/x.tar.gz"];
    let get = run(NOBODY, &args).await;
    assert_eq!(get.code(), Some(75), "{}", get.stderr());
    assert!(get.stderr().contains("cannot download http://127.0.0.1:1/x.tar.gz"), "{}", get.stderr());
    assert_eq!(fs::read_dir(&data).unwrap().count(), 0);
    assert_eq!(run(NOBODY, &["data", "get", "mnist"]).await.code(), Some(2));
}

/// Five images of 2x2 in two classes.
pub(crate) fn image_folder(root: &Path) {
    for (shade, name) in (1u8..).zip(["train/ant/1", "train/bee/1", "train/bee/2", "test/ant/1", "test/bee/1"]) {
        let path = root.join(format!("{name}.ppm"));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, [b"P6 2 2 255\n".as_slice(), &[shade; 12]].concat()).unwrap();
    }
}

async fn put(images: &Path) -> Run {
    let stored = v1::StoredDataset { name: "pets".into(), owner: "ann".into(), stored: true, ..Default::default() };
    let (address, _) = Coordinator::start(Script { stored: vec![stored], ..Script::default() }).await;
    run(&address, &["data", "put", "pets", images.to_str().unwrap()]).await
}

/// Packs `root` by another program; `false` where there is none.
fn archive(program: &str, root: &Path, args: &[&str]) -> bool {
    std::process::Command::new(program).args(args).current_dir(root).output().is_ok_and(|ended| ended.status.success())
}

#[tokio::test]
async fn a_folder_or_an_archive_of_one_is_put() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("pets");
    image_folder(&root);
    fs::write(root.join("train/notes.txt"), "").unwrap();
    let plain = put(&root).await;
    assert_eq!(plain.code(), Some(0), "{}", plain.stderr());
    assert!(plain.stdout().starts_with("folder:pets is in the store: "), "{}", plain.stdout());
    assert!(plain.stderr().contains("left out: 1 file (.txt)"), "{}", plain.stderr());
    let packed = [
        archive("tar", dir.path(), &["-czf", "folder.tgz", "pets"]).then_some("folder.tgz"),
        archive("tar", &root, &["-cf", "../bare.tar", "train", "test"]).then_some("bare.tar"),
        archive("python3", dir.path(), &["-m", "zipfile", "-c", "pets.zip", "pets"]).then_some("pets.zip"),
    ];
    for file in packed.into_iter().flatten() {
        let from_archive = put(&dir.path().join(file)).await;
        assert_eq!(from_archive.code(), Some(0), "{file}: {}", from_archive.stderr());
        assert_eq!(from_archive.stdout(), plain.stdout(), "{file}");
    }
}

#[tokio::test]
async fn what_is_wrong_with_images_is_said_at_once_and_nothing_is_sent() {
    let dir = tempfile::tempdir().unwrap();
    image_folder(dir.path());
    for name in ["train/ant/1.ppm", "test/bee/1.ppm"] {
        fs::write(dir.path().join(name), "P6 2 2 255\nx").unwrap();
    }
    let damaged = put(dir.path()).await;
    assert_eq!(damaged.code(), Some(65), "{}", damaged.stderr());
    for words in ["nothing was sent", "train/ant/1.ppm", "test/bee/1.ppm"] {
        assert!(damaged.stderr().contains(words), "{}", damaged.stderr());
    }
    fs::remove_dir_all(dir.path().join("test")).unwrap();
    let half = put(dir.path()).await;
    assert!(half.code() == Some(65) && half.stderr().contains("test/CLASS/"), "{}", half.stderr());
    let file = dir.path().join("train/ant/1.ppm");
    for (path, code) in [(dir.path().join("absent"), 66), (file, 65)] {
        let none = put(&path).await;
        assert_eq!(none.code(), Some(code), "{}", none.stderr());
    }
    let named = run(NOBODY, &["data", "put", "../pets", dir.path().to_str().unwrap()]).await;
    assert!(named.code() == Some(2) && named.stderr().contains("no name of a data set"), "{}", named.stderr());
}

#[tokio::test]
async fn an_archive_leads_nowhere_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (root, temporary) = (dir.path().join("pets"), dir.path().join("tmp"));
    fs::create_dir(&temporary).unwrap();
    image_folder(&root);
    fs::write(dir.path().join("secret.ppm"), [b"P6 2 2 255\n".as_slice(), &[7; 12]].concat()).unwrap();
    let stored = v1::StoredDataset { name: "pets".into(), owner: "ann".into(), stored: true, ..Default::default() };
    let (address, _) = Coordinator::start(Script { stored: vec![stored], ..Script::default() }).await;
    let put = async |file: &str| {
        let mut tandem = crate::tandem(&address, &["data", "put", "pets", dir.path().join(file).to_str().unwrap()]);
        Run(tandem.env("TMPDIR", &temporary).output().await.unwrap())
    };
    std::os::unix::fs::symlink("1.ppm", root.join("train/ant/same.ppm")).unwrap();
    fs::set_permissions(root.join("test/ant"), std::os::unix::fs::PermissionsExt::from_mode(0o500)).unwrap();
    assert!(archive("tar", dir.path(), &["-cf", "inside.tar", "pets"]));
    let inside = put("inside.tar").await;
    assert_eq!(inside.code(), Some(0), "{}", inside.stderr());

    let absolute = dir.path().join("secret.ppm");
    for to in ["/etc/passwd", absolute.to_str().unwrap()] {
        let _ = fs::remove_file(root.join("train/ant/out.ppm"));
        std::os::unix::fs::symlink(to, root.join("train/ant/out.ppm")).unwrap();
        assert!(archive("tar", dir.path(), &["-cf", "outside.tar", "pets"]));
        let outside = put("outside.tar").await;
        let words = "pets/train/ant/out.ppm is a link that leads out of it; nothing was sent";
        assert!(outside.code() == Some(65) && outside.stderr().contains(words), "{}", outside.stderr());
    }
    assert_eq!(fs::read_dir(&temporary).unwrap().count(), 0, "nothing stays of what was unpacked");
}
