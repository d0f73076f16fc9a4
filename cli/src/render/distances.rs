//! An attack's table of images, `attack.csv`: which ones it attacked, and how far each had to be moved.

use anyhow::{Result, bail};

use super::csv::columns;

/// One attacked image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Image {
    /// Its place in the test set.
    pub(crate) id: u64,
    pub(crate) label: i64,
    /// 0 if it is misclassified as it is, infinite if it withstood. An f32, as it was measured.
    pub(crate) distance: f32,
}

impl Image {
    /// Whether it is misclassified once it may be moved so far.
    pub(crate) fn falls_within(&self, radius: f64) -> bool {
        // The radius as f32 too, as the attack itself compares: else 0.1 would not lie within 0.1.
        self.distance <= radius as f32
    }
}

pub(crate) fn read(csv: &str) -> Result<Vec<Image>> {
    let mut images = Vec::new();
    for row in columns(csv, ["image", "label", "distance"])? {
        // Where the attack failed, no distance is written.
        let distance = if row.fields[2].is_empty() { f32::INFINITY } else { row.number(2)? };
        // NaN too: it would count as withstanding.
        if distance.is_nan() || distance < 0.0 {
            bail!("line {}: `{}` is no distance", row.line, row.fields[2]);
        }
        images.push(Image { id: row.number(0)?, label: row.number(1)?, distance });
    }
    if images.is_empty() {
        bail!("it has no images");
    }
    Ok(images)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `learn/src/stage/attack/export.rs` writes it.
    const CSV: &str = "image,label,clean_prediction,distance,attack\n0,3,5,0,\n1,8,8,0.1,plb\n2,8,8,,\n";

    #[test]
    fn an_empty_distance_is_an_image_that_withstood() {
        let images = read(CSV).unwrap();
        let facts: Vec<_> = images.iter().map(|image| (image.id, image.label, image.distance)).collect();
        assert_eq!(facts, [(0, 3, 0.0), (1, 8, 0.1), (2, 8, f32::INFINITY)]);
        let within = |radius: f64| images.iter().filter(|image| image.falls_within(radius)).count();
        assert_eq!([0.0, 0.0999, 0.1, 1e9].map(within), [1, 1, 2, 2], "the edge counts");
    }

    #[test]
    fn a_wrong_table_says_what_is_wrong_with_it() {
        let message = |csv: &str| read(csv).unwrap_err().to_string();
        assert_eq!(message("image,label\n0,1\n"), "its header `image,label` has no column `distance`");
        assert_eq!(message("image,label,distance\n0,1,NaN\n"), "line 2: `NaN` is no distance");
        assert_eq!(message("image,label,distance\n0,1,-1\n"), "line 2: `-1` is no distance");
        assert_eq!(message("image,label,distance\n0,1\nx,1,0\n"), "line 3: `x` is no number");
        assert_eq!(message("image,label,distance\n"), "it has no images");
    }
}
