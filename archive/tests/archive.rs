//! What is written is read; what is altered, cut or made by somebody else is refused.

#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64},
    },
};

use tandem_archive::{Begin, Error, FORMAT, Kind, Manifest, Table, Writer, check, part_name, store_name, visit};

fn begin(format: u32) -> Begin {
    let taken_at = "2026-12-01T00:00:00Z".parse().unwrap();
    Begin { format, program: "0.1.0".to_owned(), schema: 29, house: "h".to_owned(), taken_at }
}

fn manifest(begin: Begin) -> Manifest {
    let table = Table { name: "jobs".to_owned(), columns: vec!["id".to_owned()], rows: 2, parts: 2 };
    Manifest {
        begin,
        tables: vec![table],
        sequences: Vec::new(),
        partitions: Vec::new(),
        files: 2,
        file_bytes: 7,
        problems: Vec::new(),
        problems_left_out: 0,
    }
}

fn writer(path: &Path, begin: &Begin) -> Writer {
    Writer::create(path, begin, Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false))).unwrap()
}

/// A name longer than a header holds.
fn long() -> String {
    format!("jobs/{}/state.safetensors", "x".repeat(150))
}

fn write(path: &Path) {
    let mut writer = writer(path, &begin(FORMAT));
    writer.bytes(&part_name("jobs", 0), b"one\n").unwrap();
    writer.bytes(&part_name("jobs", 1), b"two\n").unwrap();
    writer.file(&store_name(&long()), &b"weights"[..], 7).unwrap();
    writer.file(&store_name("empty"), &b""[..], 0).unwrap();
    writer.finish(&manifest(begin(FORMAT))).unwrap();
}

fn refused(path: &Path) -> String {
    check(path, &mut |_| {}).unwrap_err().to_string()
}

#[test]
fn what_is_written_is_read_and_is_its_owners_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("house.tar");
    write(&path);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else is left there");
    let mut seen = Vec::new();
    let mut read_so_far = 0;
    let read = visit(&path, &mut |bytes| read_so_far = bytes, &mut |kind, size, bytes| {
        let mut text = String::new();
        bytes.read_to_string(&mut text).unwrap();
        assert_eq!(text.len() as u64, size);
        let name = match kind {
            Kind::Rows { table } => table.to_owned(),
            Kind::File { path } => path.to_owned(),
            Kind::Own => panic!("of the archive itself"),
        };
        seen.push((name, text));
        Ok(())
    });
    assert_eq!(read.unwrap(), manifest(begin(FORMAT)));
    let expected = [("jobs", "one\n"), ("jobs", "two\n"), (&long(), "weights"), ("empty", "")];
    assert!(seen.iter().map(|(name, text)| (name.as_str(), text.as_str())).eq(expected), "{seen:?}");
    assert_eq!(read_so_far, fs::metadata(&path).unwrap().len());
    assert_eq!(tandem_archive::begin(&path).unwrap(), begin(FORMAT));
    // Any tar lists it.
    let listed = std::process::Command::new("tar").arg("-tf").arg(&path).output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    assert!(listed.contains("database/jobs/000001\n") && listed.ends_with("manifest.json\nindex\nend\n"), "{listed}");
}

#[test]
fn one_altered_bit_anywhere_is_found_and_so_is_every_cut() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("house.tar");
    write(&path);
    let whole = fs::read(&path).unwrap();
    // All of the end, where nothing else looks twice.
    let end = whole.len() - 2048;
    for place in (0..end).step_by(13).chain((end..whole.len()).step_by(3)) {
        let mut altered = whole.clone();
        altered[place] ^= 1 << (place % 8);
        fs::write(&path, &altered).unwrap();
        let error = check(&path, &mut |_| {}).expect_err(&format!("bit {} of byte {place}", place % 8));
        assert!(error.is_damage() || matches!(error, Error::Format(_)), "byte {place}: {error}");
    }
    for length in (0..whole.len()).step_by(64).chain([whole.len() - 1]) {
        fs::write(&path, &whole[..length]).unwrap();
        assert!(refused(&path).contains("the end of one is missing"), "cut at {length}");
    }
    let mut longer = whole.clone();
    longer.extend_from_slice(&[0; 512]);
    fs::write(&path, longer).unwrap();
    assert!(refused(&path).contains("the end of one is missing"));
    fs::write(&path, &whole).unwrap();
    check(&path, &mut |_| {}).unwrap();
}

#[test]
fn a_file_that_shrinks_meanwhile_has_another_sum_and_the_archive_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("house.tar");
    let mut writer = writer(&path, &begin(FORMAT));
    let whole = writer.file(&store_name("a"), &b"weights"[..], 7).unwrap();
    let cut = writer.file(&store_name("b"), &b"wei"[..], 7).unwrap();
    assert_ne!(whole, cut);
    writer.finish(&manifest(begin(FORMAT))).unwrap();
    check(&path, &mut |_| {}).unwrap();
}

#[test]
fn until_it_is_finished_there_is_nothing_and_what_was_there_stays() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("house.tar");
    write(&path);
    let before = fs::read(&path).unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let mut writer = Writer::create(&path, &begin(FORMAT), Arc::default(), stop.clone()).unwrap();
    writer.bytes(&part_name("jobs", 0), b"one\n").unwrap();
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    assert!(writer.bytes(&part_name("jobs", 1), b"two\n").unwrap_err().to_string().contains("asked to stop"));
    drop(writer);
    assert_eq!(fs::read(&path).unwrap(), before);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

/// What stands in an archive that somebody else wrote, with sums that are right.
fn forged(path: &Path, put: impl FnOnce(&mut Writer)) -> String {
    let mut writer = writer(path, &begin(FORMAT));
    put(&mut writer);
    writer.finish(&manifest(begin(FORMAT))).unwrap();
    refused(path)
}

#[test]
fn an_archive_that_is_made_to_harm_is_refused_although_its_sums_are_right() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("house.tar");
    let bytes = |name: &'static str| move |writer: &mut Writer| writer.bytes(name, b"x").unwrap();
    for name in ["elsewhere", "database/jobs/x"] {
        assert!(forged(&path, bytes(name)).contains("the name"), "{name}");
    }
    // The writer itself refuses these, so the name is exchanged in the bytes, and the sums are made anew.
    let twice = forged(&path, |writer| (0..2).for_each(|_| writer.bytes("store/a", b"x").unwrap()));
    assert!(twice.contains("is there twice"), "{twice}");
    for (kind, shown) in [(b'2', "Symlink"), (b'1', "Link"), (b'5', "Directory"), (b'6', "Fifo"), (b'3', "Char")] {
        write(&path);
        resum(&path, |header| header[156] = kind);
        let said = refused(&path);
        assert!(said.contains("is no plain file") && said.contains(shown), "{said}");
    }
    for name in ["../../etc/cron.d/x", "/etc/passwd", "store/../../x"] {
        write(&path);
        resum(&path, |header| {
            header[..100].fill(0);
            header[..name.len()].copy_from_slice(name.as_bytes());
        });
        let said = refused(&path);
        assert!(said.contains("lead out of the folder"), "{name}: {said}");
    }
    let other = folder.path().join("other.tar");
    let mut newer = writer(&other, &begin(FORMAT + 1));
    newer.bytes("store/a", b"x").unwrap();
    newer.finish(&manifest(begin(FORMAT + 1))).unwrap();
    assert!(refused(&other).contains("has the format 2, and this version reads 1"));
}

/// Alters the header of the member `empty`, and makes its sum and that of the whole right again.
fn resum(path: &Path, alter: impl FnOnce(&mut [u8])) {
    let mut bytes = fs::read(path).unwrap();
    let at =
        (0..bytes.len() / 512).map(|block| block * 512).find(|at| bytes[*at..].starts_with(b"store/empty\0")).unwrap();
    let header = &mut bytes[at..at + 512];
    alter(header);
    header[148..156].fill(b' ');
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let tail = bytes.len() - 2048;
    let digest = hex::encode(<sha2::Sha256 as sha2::Digest>::digest(&bytes[..tail]));
    bytes[tail + 512..tail + 576].copy_from_slice(digest.as_bytes());
    fs::write(path, bytes).unwrap();
}
