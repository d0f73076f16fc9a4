//! What an attack leaves: results, a table of images, the curve, perturbed images for others to check, a picture.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::time::Instant;

use safetensors::Dtype;
use safetensors::tensor::TensorView;
use serde_json::json;
use tch::{Device, Kind, Tensor};

use super::resume::{KEPT_IMAGES, little_endian};
use super::rounds::AttackRun;
use crate::artifact;
use crate::attack::curve::{curve, median_all, median_paper};
use crate::attack::gates::{square_gain, square_note};
use crate::attack::picture;
use crate::data::{Images, SIDE};
use crate::failure::Failure;
use crate::features::{Orientation, pixels};
use crate::stage::RankContext;
use tandem_domain::spec::AttackMethod;

/// At how many radii of the grid the share of misclassified images is a result.
const READOUTS: usize = 4;

impl AttackRun<'_> {
    /// Writes the files and reports the results; for rank 0 alone.
    pub(super) fn export(&mut self, rank: &mut RankContext<'_>) -> Result<(), Failure> {
        self.attacked.seconds = self.throughput.seconds(Instant::now());
        self.figures(rank);
        self.gate_figures(rank);
        let folder = rank.task.artifacts_dir();
        rank.emit(artifact::write(&folder, "attack", "attack.csv", self.table().as_bytes())?);
        rank.emit(artifact::write(&folder, "curve", "curve.csv", self.curve().as_bytes())?);
        let adversarial = self.adversarial(rank)?;
        rank.emit(artifact::write(&folder, "adversarial", "adversarial.safetensors", &adversarial)?);
        if let Some(png) = self.picture()? {
            rank.emit(artifact::write(&folder, "picture", "attack.png", &png)?);
        }
        Ok(())
    }

    fn figures(&self, rank: &mut RankContext<'_>) {
        let distances = &self.attacked.distances;
        let grid = self.spec.grid();
        let points = curve(distances, &grid);
        rank.result("clean_error", points[0].all);
        for (name, median) in
            [("median_distance", median_all(distances)), ("median_distance_paper", median_paper(distances))]
        {
            // An infinite median is left out, since JSON has no infinity.
            if let Some(median) = median {
                rank.result(name, median);
            }
        }
        for index in readout_indices(grid.len()) {
            // The first point is radius 0.
            let (radius, misclassified) = (format_radius(grid[index]), points[index + 1].all);
            rank.result(&format!("misclassified_at_{radius}"), misclassified);
            rank.result(&format!("robust_accuracy_at_{radius}"), 1.0 - misclassified);
        }
        rank.result("attacked", distances.len() as f64);
        rank.result("failed", distances.iter().filter(|distance| distance.is_infinite()).count() as f64);
        rank.result("seconds", self.attacked.seconds);
    }

    /// Reports what was checked, and how many checks failed: `gate_failed` marks a result wherever it is shown.
    fn gate_figures(&self, rank: &mut RankContext<'_>) {
        let mut notes = Vec::new();
        if let Some(gates) = tch::no_grad(|| self.measure_gates(rank.task.spec.seed)) {
            let figures = [
                ("gate_zero_gradient", gates.zero_gradient),
                ("gate_large_radius", gates.large_radius),
                ("gate_more_steps", gates.more_steps),
                ("gate_more_restarts", gates.more_restarts),
                ("gate_square_alone", gates.square_alone),
                ("gate_noise", Some(gates.noise)),
                ("gate_batch_alone", Some(gates.batch_alone).filter(|value| value.is_finite())),
            ];
            for (name, value) in figures {
                value.into_iter().for_each(|value| rank.result(name, value));
            }
            notes.extend(gates.notes());
        }
        let labels = self.chosen.iter().map(|&id| self.data.test.labels[id as usize]);
        let misplaced = self.attacked.misplaced(labels);
        rank.result("gate_zero_distance", misplaced as f64);
        if misplaced > 0 {
            notes.push(format!("{misplaced} images are clean errors and have a distance, or the other way round"));
        }
        if self.spec.attack == AttackMethod::BestOf {
            let gain = square_gain(&self.attacked.white_box, &self.attacked.distances, &self.spec.grid());
            rank.result("gate_square_gain", gain);
            notes.extend(square_note(gain));
        }
        rank.result("gate_failed", notes.len() as f64);
        notes.into_iter().for_each(|note| rank.note("gate", note));
    }

    /// CSV with one line an image; the distance is empty if the attack failed.
    fn table(&self) -> String {
        let mut table = "image,label,clean_prediction,distance,attack\n".to_owned();
        for (place, (image, distance)) in self.chosen.iter().zip(&self.attacked.distances).enumerate() {
            let distance = if distance.is_finite() { distance.to_string() } else { String::new() };
            let (label, prediction) = (self.data.test.labels[*image as usize], self.attacked.predictions[place]);
            let finder = self.attacked.finder(place).name();
            // Writing to a String cannot fail.
            let _ = writeln!(table, "{image},{label},{prediction},{distance},{finder}");
        }
        table
    }

    /// CSV of the percentage of images that are misclassified within each radius, in both conventions of
    /// [`crate::attack::curve`].
    fn curve(&self) -> String {
        let mut table = "radius,paper,all\n".to_owned();
        for point in curve(&self.attacked.distances, &self.spec.grid()) {
            let _ = writeln!(table, "{},{:.4},{:.4}", point.radius, 100.0 * point.paper, 100.0 * point.all);
        }
        table
    }

    /// The images attacked first, clean as bytes and perturbed as f32, with labels and distances, for others to check.
    fn adversarial(&self, rank: &RankContext<'_>) -> Result<Vec<u8>, Failure> {
        let count = self.attacked.len().min(KEPT_IMAGES);
        let plane = SIDE * SIDE;
        let kept = &self.chosen[..count];
        let clean = bytes_of(&self.data.test, kept);
        let perturbed = little_endian(&self.attacked.perturbed, |value| value.to_le_bytes());
        let distances = little_endian(&self.attacked.distances[..count], |value| value.to_le_bytes());
        let labels: Vec<i64> = kept.iter().map(|&id| self.data.test.labels[id as usize]).collect();
        let labels = little_endian(&labels, |label| label.to_le_bytes());
        let images = vec![count, 3, SIDE, SIDE];
        let parts = [
            ("clean", Dtype::U8, images.clone(), &clean),
            ("adversarial", Dtype::F32, images, &perturbed),
            ("labels", Dtype::I64, vec![count], &labels),
            ("distances", Dtype::F32, vec![count], &distances),
        ];
        debug_assert_eq!(clean.len(), count * 3 * plane);
        let wrong =
            |error: &dyn std::fmt::Display| Failure::Unknown(format!("cannot encode adversarial images: {error}"));
        let views = parts.into_iter().map(|(name, dtype, shape, bytes)| {
            TensorView::new(dtype, shape, bytes).map(|view| (name, view)).map_err(|error| wrong(&error))
        });
        let card =
            json!({ "spec": rank.task.spec, "inputs": rank.task.inputs.iter().map(|i| &i.sha256).collect::<Vec<_>>() });
        let metadata = HashMap::from([("tandem".to_owned(), card.to_string())]);
        safetensors::serialize(views.collect::<Result<Vec<_>, _>>()?, Some(metadata)).map_err(|error| wrong(&error))
    }

    /// A picture of the first images that were broken; `None` if there are none, or none are wanted.
    fn picture(&self) -> Result<Option<Vec<u8>>, Failure> {
        let moved = |place: &i64| {
            let distance = self.attacked.distances[*place as usize];
            distance > 0.0 && distance.is_finite()
        };
        let kept = self.attacked.len().min(KEPT_IMAGES) as i64;
        let shown: Vec<i64> = (0..kept).filter(moved).take(self.spec.pictures as usize).collect();
        if shown.is_empty() {
            return Ok(None);
        }
        let images: Vec<i64> = shown.iter().map(|&place| self.chosen[place as usize]).collect();
        let clean = pixels(&self.data.test, &images, Orientation::AsIs).to_device(Device::Cpu);
        let perturbed = self.attacked.perturbed(SIDE as i64).index_select(0, &Tensor::from_slice(&shown));
        let png = picture::png(&clean, &perturbed);
        png.map(Some).map_err(|error| Failure::Unknown(format!("cannot draw the picture of perturbed images: {error}")))
    }
}

/// Indices of the radii to report: the last one, and others evenly before it.
fn readout_indices(radii: usize) -> Vec<usize> {
    let mut places: Vec<usize> = (1..=READOUTS).filter_map(|part| (radii * part / READOUTS).checked_sub(1)).collect();
    places.dedup();
    places
}

/// Four digits after the point at most: 0.0196 for 5/255.
fn format_radius(radius: f64) -> String {
    let text = format!("{radius:.4}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn bytes_of(images: &Images, ids: &[i64]) -> Vec<u8> {
    let ids = Tensor::from_slice(ids).to_device(images.pixels.device());
    let pixels = images.pixels.index_select(0, &ids).to_device(Device::Cpu).to_kind(Kind::Uint8);
    Vec::try_from(pixels.contiguous().flatten(0, -1)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grid_is_reported_at_its_quarters() {
        assert_eq!(readout_indices(20), [4, 9, 14, 19]);
        assert_eq!(
            (readout_indices(1), readout_indices(2), readout_indices(5)),
            (vec![0], vec![0, 1], vec![0, 1, 2, 4])
        );
        assert_eq!([0.25, 1.0, 5.0 / 255.0, 100.0].map(format_radius), ["0.25", "1", "0.0196", "100"]);
    }
}
