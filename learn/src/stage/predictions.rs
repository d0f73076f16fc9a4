//! What a classifier says of each test image, for who compares two of them image by image.

use std::fmt::Write as _;

use tch::{Kind, Tensor};

use super::RankContext;
use crate::artifact;
use crate::failure::Failure;

/// Writes `predictions.csv`, a line for each test image in their order; from rank 0 alone.
pub(super) fn write(rank: &mut RankContext<'_>, labels: &[i64], predictions: &Tensor) -> Result<(), Failure> {
    if !rank.is_rank_zero() {
        return Ok(());
    }
    let predictions = Vec::<i64>::try_from(predictions.to_kind(Kind::Int64))
        .map_err(|error| Failure::Unknown(format!("cannot read the classes of the test images: {error}")))?;
    let text = table(labels, &predictions);
    let folder = rank.task.artifacts_dir();
    rank.emit(artifact::write(&folder, "predictions", "predictions.csv", text.as_bytes())?);
    Ok(())
}

fn table(labels: &[i64], predictions: &[i64]) -> String {
    let mut table = "image,label,prediction\n".to_owned();
    for (image, (label, prediction)) in labels.iter().zip(predictions).enumerate() {
        // Writing to a String cannot fail.
        let _ = writeln!(table, "{image},{label},{prediction}");
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_for_each_image() {
        assert_eq!(table(&[3, 8], &[5, 8]), "image,label,prediction\n0,3,5\n1,8,8\n");
    }
}
