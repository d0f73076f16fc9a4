use std::path::Path;

use image::{Rgb, RgbImage};

const CLASSES: [&str; 4] = ["bars", "checks", "disc", "frame"];

/// Writes `dir/images/{train,test}/<class>/*.png`: 64 and 16 images of each of four classes, the same on every call.
pub fn write_image_folder(dir: &Path) -> anyhow::Result<()> {
    for (split, count) in [("train", 64), ("test", 16)] {
        for (class, name) in CLASSES.iter().enumerate() {
            let folder = dir.join("images").join(split).join(name);
            std::fs::create_dir_all(&folder)?;
            for index in 0..count {
                draw(class, split.len() + index).save(folder.join(format!("{index:03}.png")))?;
            }
        }
    }
    Ok(())
}

fn draw(class: usize, index: usize) -> RgbImage {
    let shift = index * 5 % 8;
    let (front, back) = ((index * 37 % 200 + 55) as u8, (index * 91 % 100) as u8);
    RgbImage::from_fn(32, 32, |x, y| {
        let (x, y) = (x as usize, y as usize);
        let (dx, dy) = (x.abs_diff(12 + shift), y.abs_diff(20 - shift));
        let inside = match class {
            0 => ((x + shift) / 4).is_multiple_of(2),
            1 => ((x + shift) / 4 + y / 4).is_multiple_of(2),
            2 => dx * dx + dy * dy < 64,
            _ => dx.max(dy) < 10 && dx.max(dy) > 6,
        };
        let value = if inside { front } else { back };
        Rgb([value, value.wrapping_add((index * 13) as u8 % 40), value / 2 + 30])
    })
}
