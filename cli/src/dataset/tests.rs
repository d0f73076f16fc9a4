//! Against an HTTP server in this process, with a small archive that has the real one's shape.

use std::sync::{Arc, Mutex};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::*;
use crate::{exit::classify, output::Color};

/// Serves `body` under any path, with ranges if `ranges`; cuts the first answer off after `cut` bytes.
struct Server {
    address: String,
    /// The `Range` header of each request, empty without.
    asked: Arc<Mutex<Vec<String>>>,
}

async fn serve(body: Vec<u8>, ranges: bool, mut cut: Option<usize>) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/archive.tar.gz", listener.local_addr().unwrap());
    let asked = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                if stream.read(&mut byte).await.unwrap_or(0) == 0 {
                    break;
                }
                request.push(byte[0]);
            }
            let request = String::from_utf8(request).unwrap();
            let range = request.lines().find_map(|line| line.strip_prefix("Range: bytes=")).unwrap_or("");
            log.lock().unwrap().push(range.to_owned());
            let from = range.trim_end_matches('-').parse::<usize>().ok().filter(|_| ranges);
            let head = match from {
                Some(from) if from >= body.len() => "HTTP/1.1 416 Range Not Satisfiable\r\n".to_owned(),
                Some(from) => {
                    let last = body.len() - 1;
                    format!("HTTP/1.1 206 Partial Content\r\nContent-Range: bytes {from}-{last}/{}\r\n", body.len())
                }
                None => "HTTP/1.1 200 OK\r\n".to_owned(),
            };
            let rest = body.get(from.unwrap_or(0)..).unwrap_or_default();
            let head = format!("{head}Content-Length: {}\r\nConnection: close\r\n\r\n", rest.len());
            let sent = &rest[..cut.take().unwrap_or(rest.len()).min(rest.len())];
            let _ = stream.write_all(head.as_bytes()).await;
            let _ = stream.write_all(sent).await;
        }
    });
    Server { address, asked }
}

/// A tar.gz as CIFAR-100's, of two small files.
fn packed(dir: &Path, files: &[&str]) -> Vec<u8> {
    let folder = dir.join("cifar-100-binary");
    fs::create_dir_all(&folder).unwrap();
    for file in files {
        fs::write(folder.join(file), file.repeat(1000)).unwrap();
    }
    let archive = dir.join("archive.tar.gz");
    let mut tar = std::process::Command::new("tar");
    tar.arg("-czf").arg(&archive).arg("-C").arg(dir).arg("cifar-100-binary");
    assert!(tar.status().unwrap().success());
    fs::read(archive).unwrap()
}

fn wanted(server: &Server, body: &[u8]) -> Archive {
    Archive { url: server.address.clone(), md5: hex::encode(Md5::digest(body)), ..archive("cifar100").unwrap() }
}

async fn get(archive: &Archive, data: &Path) -> Result<()> {
    archive.get(data, &Output::new(false, Color::Never)).await
}

fn names(data: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(data).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

const FILES: [&str; 2] = ["train.bin", "test.bin"];

#[tokio::test]
async fn an_archive_is_downloaded_checked_and_unpacked() {
    let dir = tempfile::tempdir().unwrap();
    let body = packed(dir.path(), &FILES);
    let server = serve(body.clone(), true, None).await;
    let data = dir.path().join("new/data");
    let archive = wanted(&server, &body);
    assert!(!archive.is_in(&data));
    get(&archive, &data).await.unwrap();
    assert!(archive.is_in(&data));
    assert_eq!(fs::read_to_string(data.join("cifar-100-binary/test.bin")).unwrap(), "test.bin".repeat(1000));
    assert_eq!(names(&data), ["cifar-100-binary"], "no part is left");
}

#[tokio::test]
async fn a_wrong_sum_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let body = packed(dir.path(), &FILES);
    let server = serve(body.clone(), true, None).await;
    let data = dir.path().join("data");
    let archive = Archive { md5: "0".repeat(32), ..wanted(&server, &body) };
    let (exit, message) = classify(&get(&archive, &data).await.unwrap_err());
    let message = message.unwrap();
    assert_eq!(exit, Exit::Temporary);
    assert!(message.contains(&hex::encode(Md5::digest(&body))) && message.contains("expected 0000"), "{message}");
    assert_eq!(names(&data), [""; 0]);
}

#[tokio::test]
async fn an_interrupted_download_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let body = packed(dir.path(), &FILES);
    let server = serve(body.clone(), true, Some(100)).await;
    let data = dir.path().join("data");
    let archive = wanted(&server, &body);
    let (exit, message) = classify(&get(&archive, &data).await.unwrap_err());
    assert_eq!(exit, Exit::Temporary, "{message:?}");
    assert_eq!(names(&data), [".cifar-100-binary.tar.gz.part"]);
    get(&archive, &data).await.unwrap();
    assert!(archive.is_in(&data));
    assert_eq!(*server.asked.lock().unwrap(), ["", "100-"]);
}

#[tokio::test]
async fn a_part_of_something_else_is_started_again() {
    let dir = tempfile::tempdir().unwrap();
    let body = packed(dir.path(), &FILES);
    for (ranges, part) in [(true, 50), (true, body.len() + 7), (false, 50)] {
        let server = serve(body.clone(), ranges, None).await;
        let data = dir.path().join(format!("data-{ranges}-{part}"));
        fs::create_dir(&data).unwrap();
        fs::write(data.join(".cifar-100-binary.tar.gz.part"), vec![b'x'; part]).unwrap();
        get(&wanted(&server, &body), &data).await.unwrap();
        assert_eq!(names(&data), ["cifar-100-binary"], "ranges {ranges}, a part of {part} bytes");
    }
}

#[tokio::test]
async fn a_whole_part_is_not_downloaded_again() {
    let dir = tempfile::tempdir().unwrap();
    let body = packed(dir.path(), &FILES);
    let server = serve(body.clone(), true, None).await;
    let data = dir.path().join("data");
    fs::create_dir(&data).unwrap();
    fs::write(data.join(".cifar-100-binary.tar.gz.part"), &body).unwrap();
    get(&wanted(&server, &body), &data).await.unwrap();
    assert_eq!(server.asked.lock().unwrap().len(), 0);
}

#[tokio::test]
async fn without_a_network_the_message_says_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    // A port that nobody listens on: it was ours a moment ago.
    let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let archive = Archive { url: format!("http://{address}/x"), ..archive("cifar10").unwrap() };
    let (exit, message) = classify(&get(&archive, dir.path()).await.unwrap_err());
    let message = message.unwrap();
    assert_eq!(exit, Exit::Temporary);
    assert!(message.contains("cannot download http://127.0.0.1") && message.contains("Without a network"), "{message}");
    assert_eq!(names(dir.path()), [""; 0]);
}

#[tokio::test]
async fn an_archive_without_its_files_is_not_put_in_place() {
    let dir = tempfile::tempdir().unwrap();
    let body = packed(dir.path(), &FILES[..1]);
    let server = serve(body.clone(), true, None).await;
    let data = dir.path().join("data");
    let message = get(&wanted(&server, &body), &data).await.unwrap_err().to_string();
    assert!(message.contains("it holds no cifar-100-binary/test.bin"), "{message}");
    assert!(!data.join("cifar-100-binary").exists());

    // A folder that is there, whole or not, is never touched.
    fs::create_dir(data.join("cifar-100-binary")).unwrap();
    let message = get(&wanted(&server, &body), &data).await.unwrap_err().to_string();
    assert!(message.contains("not all of its files are"), "{message}");
}

#[test]
fn a_place_is_a_url_or_a_file() {
    for (text, expected) in [
        ("https://mirror/a.tar.gz", Source::Url("https://mirror/a.tar.gz".into())),
        ("file:///srv/a.tar.gz", Source::File("/srv/a.tar.gz".into())),
        ("a.tar.gz", Source::File("a.tar.gz".into())),
    ] {
        assert_eq!(Source::from(text.to_owned()), expected);
    }
}

#[tokio::test]
async fn an_archive_that_is_here_already_is_checked_and_unpacked() {
    let (made, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let body = packed(made.path(), &["train.bin", "test.bin"]);
    let file = made.path().join("archive.tar.gz");
    let archive = Archive { md5: hex::encode(Md5::digest(&body)), ..archive("cifar100").unwrap() };
    archive.take(&file, data.path()).await.unwrap();
    assert!(archive.is_in(data.path()));
    assert_eq!(names(data.path()), ["cifar-100-binary"]);
    assert_eq!(fs::read(&file).unwrap(), body, "the archive stays as it is");

    let other = tempfile::tempdir().unwrap();
    let wrong = Archive { md5: "0".repeat(32), ..archive.clone() };
    let (exit, message) = classify(&wrong.take(&file, other.path()).await.unwrap_err());
    assert_eq!(exit, Exit::Damaged);
    assert!(message.unwrap().contains("is not what its authors published"));
    let (exit, _) = classify(&archive.take(&made.path().join("nothing"), other.path()).await.unwrap_err());
    assert_eq!((exit, names(other.path())), (Exit::NotFound, Vec::new()));
}
