use std::os::unix::fs::{PermissionsExt, symlink};

use image::codecs::jpeg::JpegEncoder;
use image::{ImageFormat, Rgb, RgbImage};
use nix::unistd::{Uid, geteuid, mkfifo, setfsuid};

use super::*;
use crate::{Blame, list};

fn read(folder: &Path) -> Result<RawData, Error> {
    super::decode(list(folder, &|| ())?, &|| ())
}

fn save(root: &Path, name: &str, side: u32, colour: [u8; 3]) {
    let path = root.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    RgbImage::from_pixel(side, side, Rgb(colour)).save(path).unwrap();
}

fn small() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for half in ["train", "test"] {
        save(dir.path(), &format!("{half}/cat/b.png"), 32, [1, 2, 3]);
        save(dir.path(), &format!("{half}/cat/a.PNG"), 32, [4, 5, 6]);
        save(dir.path(), &format!("{half}/ant/big.png"), 64, [7, 8, 9]);
        std::fs::write(dir.path().join(half).join("cat/notes.txt"), "no image").unwrap();
    }
    dir
}

#[test]
fn classes_and_files_come_in_the_order_of_their_names() {
    let raw = read(small().path()).unwrap();
    assert_eq!(raw.classes, ["ant", "cat"]);
    assert_eq!(raw.train.labels, [0, 1, 1]);
    let corners: Vec<u8> =
        (0..3).flat_map(|i| (0..3).map(move |c| i * IMAGE + c * PLANE)).map(|at| raw.train.pixels[at]).collect();
    assert_eq!(corners, [7, 8, 9, 4, 5, 6, 1, 2, 3]);
}

#[test]
fn images_that_are_squeezed_are_counted_and_the_first_is_named() {
    let dir = small();
    assert_eq!(read(dir.path()).unwrap().squeezed, None, "one of 64x64 keeps its shape");
    let wide = |name: &str, width: u32| RgbImage::new(width, 20).save(dir.path().join(name)).unwrap();
    wide("test/ant/wide.png", 40);
    let note = read(dir.path()).unwrap().squeezed.unwrap();
    assert!(note.starts_with("1 image is not square") && note.contains("test/ant/wide.png of 40x20"), "{note}");
    wide("train/cat/c.png", 30);
    wide("train/cat/d.png", 32);
    let note = read(dir.path()).unwrap().squeezed.unwrap();
    assert!(note.starts_with("3 images are not square") && note.contains("train/cat/c.png of 30x20"), "{note}");
}

#[test]
fn a_damaged_image_is_named() {
    let dir = small();
    std::fs::write(dir.path().join("test/cat/b.png"), b"\x89PNG\r\n\x1a\nrubbish").unwrap();
    let error = read(dir.path()).err().unwrap();
    assert!(matches!(&error, Error::Decode { path, .. } if path.ends_with("test/cat/b.png")), "{error}");
}

#[test]
fn classes_must_agree() {
    let dir = small();
    save(dir.path(), "test/dog/a.png", 32, [0, 0, 0]);
    let error = read(dir.path()).err().unwrap().to_string();
    assert!(error.contains("`dog` is only in"), "{error}");
}

/// What is wrong with a data set that has `put` in it; it is the job's fault and names `train/cat/z.png`.
fn refused(put: impl FnOnce(&Path)) -> String {
    let dir = small();
    put(&dir.path().join("train/cat/z.png"));
    let error = read(dir.path()).err().unwrap();
    assert_eq!(error.blame(), Blame::Job, "{error}");
    let text = error.to_string();
    assert!(text.contains("train/cat/z.png"), "{text}");
    text
}

#[test]
fn what_has_the_name_of_an_image_and_is_none_is_refused_by_its_name_and_never_waited_for() {
    let text = refused(|path| symlink("nothing", path).unwrap());
    assert!(text.contains("No such file") && text.contains("link"), "{text}");
    let text = refused(|path| symlink("z.png", path).unwrap());
    assert!(text.contains("symbolic links"), "{text}");
    assert!(refused(|path| std::fs::create_dir(path).unwrap()).contains("is a folder"));
    assert!(refused(|path| mkfifo(path, nix::sys::stat::Mode::S_IRWXU).unwrap()).contains("is a pipe"));
    assert!(refused(|path| symlink("/dev/zero", path).unwrap()).contains("is a device"));
    assert!(refused(|path| drop(std::os::unix::net::UnixListener::bind(path).unwrap())).contains("is a socket"));
    refused(|path| std::fs::write(path, "").unwrap());
    refused(|path| std::fs::write(path, "<html>not found</html>").unwrap());
}

#[test]
fn a_file_larger_than_any_image_is_not_read() {
    let text = refused(|path| std::fs::File::create(path).unwrap().set_len(1 << 40).unwrap());
    assert!(text.contains("1099511627776 bytes"), "{text}");
}

#[test]
fn a_file_that_may_not_be_read_is_named() {
    let dir = small();
    let mode = |path: &Path, mode| std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    mode(dir.path(), 0o755);
    mode(&dir.path().join("train/cat/b.png"), 0);
    // Root may read everything, a thread of root as somebody else may not.
    let error = std::thread::scope(|scope| {
        let read = scope.spawn(|| {
            if geteuid().is_root() {
                setfsuid(Uid::from_raw(65534));
            }
            read(dir.path()).err().unwrap()
        });
        read.join().unwrap()
    });
    assert!(error.to_string().contains("train/cat/b.png: Permission denied"), "{error}");
    assert_eq!(error.blame(), Blame::Job);
}

/// An image of 32x32 that no decoder can guess.
fn picture() -> RgbImage {
    RgbImage::from_fn(32, 32, |x, y| {
        let noise = (x * 73 + y * 151 + x * y * 37) as u8;
        Rgb([noise, noise.wrapping_mul(3), (8 * x) as u8])
    })
}

fn encoded(format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    match format {
        ImageFormat::Jpeg => JpegEncoder::new_with_quality(&mut bytes, 90).encode_image(&picture()).unwrap(),
        _ => picture().write_to(&mut bytes, format).unwrap(),
    }
    bytes.into_inner()
}

fn decoded(bytes: &[u8], name: &str) -> Result<Vec<u8>, Error> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    let mut planes = vec![0; IMAGE];
    let bytes = crate::file::read(&path)?;
    planes_of(&path, bytes, &mut planes).map(|_| planes)
}

fn planes() -> Vec<u8> {
    let picture = picture();
    (0..3).flat_map(|channel| picture.pixels().map(|pixel| pixel.0[channel]).collect::<Vec<_>>()).collect()
}

#[test]
fn formats_without_loss_come_back_as_they_were() {
    for (format, name) in [
        (ImageFormat::Png, "x.png"),
        (ImageFormat::Bmp, "x.bmp"),
        (ImageFormat::Pnm, "x.ppm"),
        (ImageFormat::Tiff, "x.tif"),
        (ImageFormat::WebP, "x.webp"),
        (ImageFormat::Tiff, "really-a-tiff.png"),
    ] {
        assert!(decoded(&encoded(format), name).unwrap() == planes(), "{name}");
    }
    let grey = [b"P5 32 32 255\n".as_slice(), &[9; PLANE]].concat();
    assert!(decoded(&grey, "x.pgm").unwrap() == vec![9; IMAGE]);
}

/// Whatever the decoders make of the rest: an image is whole, or it is refused.
#[test]
fn an_image_that_is_cut_off_is_refused_by_name_or_had_lost_nothing() {
    let kept = include_bytes!("progressive.jpg").to_vec();
    let images = [
        (encoded(ImageFormat::Jpeg), "x.jpg"),
        (kept, "progressive.jpg"),
        (include_bytes!("lossy.webp").to_vec(), "lossy.webp"),
        (encoded(ImageFormat::Png), "x.png"),
        (encoded(ImageFormat::Bmp), "x.bmp"),
        (encoded(ImageFormat::Pnm), "x.ppm"),
        (encoded(ImageFormat::Tiff), "x.tif"),
        (encoded(ImageFormat::WebP), "x.webp"),
    ];
    for (bytes, name) in images {
        let whole = decoded(&bytes, name).unwrap();
        for percent in [2, 10, 20, 50, 95] {
            match decoded(&bytes[..bytes.len() * percent / 100], name) {
                Err(error) => {
                    assert!(error.to_string().contains(name), "{error}");
                    assert_eq!(error.blame(), Blame::Job);
                }
                Ok(_) => panic!("{name}: {percent} % of it are taken for all"),
            }
        }
        for missing in 1..64 {
            let rest = decoded(&bytes[..bytes.len() - missing], name);
            assert!(rest.is_err() || rest.is_ok_and(|rest| rest == whole), "{name}: {missing} bytes are missing");
        }
    }
}

#[test]
fn an_image_of_no_size_or_too_great_a_size_is_refused_before_it_is_decoded() {
    let ppm = |size: &str| [b"P6 ".as_slice(), size.as_bytes(), b" 255\n", &[0; 3]].concat();
    for size in ["0 0", "0 7", "9000 9000"] {
        let error = decoded(&ppm(size), "x.ppm").unwrap_err();
        assert!(matches!(error, Error::Pixels { .. } | Error::Decode { .. }), "{size}: {error}");
        assert!(error.to_string().contains("x.ppm"), "{error}");
    }
    let error = decoded(&ppm("9000 9000"), "x.ppm").unwrap_err().to_string();
    assert!(error.contains("9000 pixels wide and 9000 high"), "{error}");
}
