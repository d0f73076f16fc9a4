//! What is known of the images attacked so far, and its checkpoint: one file, so that an attack that was interrupted goes
//! on with the next image. Nothing in it depends on the number of ranks.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

use crate::attack::best_of::Finder;
use crate::failure::Failure;
use crate::files::{publish, read, sha256};
use crate::report::Event;
use crate::task::CheckpointRef;

const FORMAT: u32 = 1;
const PREFIX: &str = "attacked-";
/// The one before the newest is for the case that the newest is damaged.
const KEPT: usize = 2;

/// The first images, of which the adversarial ones are kept too: for pictures, and for others to check the verdicts.
pub(super) const SHOWN: usize = 1000;

/// Of the first images of the test set, in order.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Attacked {
    /// Class that the clean image is taken for.
    pub(super) predictions: Vec<i64>,
    /// 0: misclassified as it is; infinite: not broken.
    pub(super) distances: Vec<f32>,
    /// As found by attacks that see gradients.
    pub(super) white_box: Vec<f32>,
    /// [`Finder`] codes.
    pub(super) by: Vec<u8>,
    /// f32 pixels of the first [`SHOWN`] images, perturbed, planar.
    pub(super) perturbed: Vec<f32>,
    /// Time spent over all attempts.
    pub(super) seconds: f64,
}

#[derive(Serialize, Deserialize)]
struct Card {
    format: u32,
    /// Of the job's spec and of the classifier: a checkpoint continues one attack and no other.
    key: String,
    seconds: f64,
}

impl Attacked {
    pub(super) fn len(&self) -> usize {
        self.distances.len()
    }

    pub(super) fn finder(&self, image: usize) -> Finder {
        Finder::from_code(self.by[image])
    }

    /// Images whose distance is 0 although they are classified rightly, or not 0 although they are not: there should be
    /// none. `labels` are those of the data set.
    pub(super) fn misplaced(&self, labels: &[i64]) -> usize {
        let all = self.predictions.iter().zip(labels).zip(&self.distances);
        all.filter(|((prediction, label), distance)| (prediction != label) != (**distance == 0.0)).count()
    }

    /// f32 `[K, 3, H, W]`, on the CPU.
    pub(super) fn perturbed(&self, side: i64) -> Tensor {
        Tensor::from_slice(&self.perturbed).view([-1, 3, side, side])
    }

    /// `rows` is f64 `[n, 4]` of predictions, distances, white-box distances and finders; `images` f32 `[n, 3, H, W]`
    /// where they are still to be kept.
    pub(super) fn append(&mut self, rows: &Tensor, images: Option<&Tensor>) {
        let column = |index: i64| {
            Vec::<f64>::try_from(rows.select(1, index).to_kind(Kind::Double).contiguous().to_device(Device::Cpu))
                .unwrap_or_default()
        };
        self.predictions.extend(column(0).iter().map(|&value| value as i64));
        self.distances.extend(column(1).iter().map(|&value| value as f32));
        self.white_box.extend(column(2).iter().map(|&value| value as f32));
        self.by.extend(column(3).iter().map(|&value| value as u8));
        if let Some(images) = images {
            let pixels = images.to_kind(Kind::Float).contiguous().flatten(0, -1).to_device(Device::Cpu);
            let each = pixels.numel() / (images.size()[0].max(1) as usize);
            self.perturbed.extend(Vec::<f32>::try_from(pixels).unwrap_or_default());
            self.perturbed.truncate(SHOWN * each);
        }
    }

    /// Writes `job_dir/attacked-XXXXXXXX.safetensors` and removes older ones.
    pub(super) fn save(&self, job_dir: &Path, key: &str) -> Result<Event, Failure> {
        let bytes =
            self.encode(key).map_err(|why| Failure::Job(format!("cannot encode the attacked images: {why}")))?;
        let name = format!("{PREFIX}{:08}.safetensors", self.len());
        let path = publish(job_dir, &name, &bytes)?;
        prune(job_dir, &name);
        let (sha256, bytes) = (sha256(&bytes), bytes.len() as u64);
        Ok(Event::Checkpoint { step: self.len() as u64, path, sha256, bytes })
    }

    /// The first of `candidates` (newest first) that is whole and of this attack, and why each one before was skipped.
    pub(super) fn newest(candidates: &[CheckpointRef], key: &str) -> (Self, Vec<String>) {
        let mut skipped = Vec::new();
        for candidate in candidates {
            match Self::load(candidate, key) {
                Ok(attacked) => return (attacked, skipped),
                Err(why) => skipped.push(format!(
                    "checkpoint of {} attacked images at {} skipped: {why}",
                    candidate.step,
                    candidate.path.display()
                )),
            }
        }
        (Self::default(), skipped)
    }

    fn load(candidate: &CheckpointRef, key: &str) -> Result<Self, String> {
        let bytes = read(&candidate.path).map_err(|error| error.to_string())?;
        let found = sha256(&bytes);
        if found != candidate.sha256 {
            return Err(format!("its sha256 is {found}, expected {}: it is damaged or was replaced", candidate.sha256));
        }
        Self::decode(&bytes, key)
    }

    fn encode(&self, key: &str) -> Result<Vec<u8>, String> {
        let card = Card { format: FORMAT, key: key.to_owned(), seconds: self.seconds };
        let card = serde_json::to_string(&card).map_err(|error| error.to_string())?;
        let columns = [
            ("predictions", Dtype::I64, little_endian(&self.predictions, |value| value.to_le_bytes())),
            ("distances", Dtype::F32, little_endian(&self.distances, |value| value.to_le_bytes())),
            ("white_box", Dtype::F32, little_endian(&self.white_box, |value| value.to_le_bytes())),
            ("by", Dtype::U8, self.by.clone()),
            ("perturbed", Dtype::F32, little_endian(&self.perturbed, |value| value.to_le_bytes())),
        ];
        let views = columns.iter().map(|(name, dtype, bytes)| {
            let len = bytes.len() * 8 / dtype.bitsize();
            TensorView::new(*dtype, vec![len], bytes).map(|view| (*name, view))
        });
        let views = views.collect::<Result<Vec<_>, _>>().map_err(|error| error.to_string())?;
        let metadata = HashMap::from([("tandem".to_owned(), card)]);
        safetensors::serialize(views, Some(metadata)).map_err(|error| error.to_string())
    }

    fn decode(bytes: &[u8], key: &str) -> Result<Self, String> {
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(|error| error.to_string())?;
        let card = header.metadata().as_ref().and_then(|all| all.get("tandem")).ok_or("its card is missing")?;
        let card: Card = serde_json::from_str(card).map_err(|error| format!("its card: {error}"))?;
        if card.format != FORMAT {
            return Err(format!("its format is {}, this version reads {FORMAT}", card.format));
        }
        if card.key != key {
            return Err("it belongs to another attack".into());
        }
        let file = SafeTensors::deserialize(bytes).map_err(|error| error.to_string())?;
        let column = |name: &str| file.tensor(name).map(|view| view.data().to_vec()).map_err(|error| error.to_string());
        let read = Self {
            predictions: from_little_endian(&column("predictions")?, i64::from_le_bytes),
            distances: from_little_endian(&column("distances")?, f32::from_le_bytes),
            white_box: from_little_endian(&column("white_box")?, f32::from_le_bytes),
            by: column("by")?,
            perturbed: from_little_endian(&column("perturbed")?, f32::from_le_bytes),
            seconds: card.seconds,
        };
        let lengths = [read.predictions.len(), read.white_box.len(), read.by.len()];
        if lengths.iter().any(|&len| len != read.len()) {
            return Err("its columns differ in length".into());
        }
        Ok(read)
    }
}

/// What is left of older attempts; a file that cannot be removed harms nobody.
fn prune(job_dir: &Path, newest: &str) {
    let Ok(entries) = fs::read_dir(job_dir) else { return };
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.starts_with(PREFIX) && name.as_str() <= newest)
        .collect();
    names.sort();
    let old = names.len().saturating_sub(KEPT);
    names[..old].iter().for_each(|name| drop(fs::remove_file(job_dir.join(name))));
}

fn little_endian<T, const N: usize>(values: &[T], bytes: impl Fn(&T) -> [u8; N]) -> Vec<u8> {
    values.iter().flat_map(bytes).collect()
}

fn from_little_endian<T, const N: usize>(bytes: &[u8], value: impl Fn([u8; N]) -> T) -> Vec<T> {
    bytes.as_chunks::<N>().0.iter().map(|chunk| value(*chunk)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attacked(images: usize) -> Attacked {
        let mut attacked = Attacked { seconds: 1.5, ..Attacked::default() };
        for image in 0..images {
            let value = if image % 3 == 0 { f64::INFINITY } else { 0.1 * image as f64 };
            let rows = Tensor::from_slice(&[image as f64, value, value, (image % 8) as f64]).view([1, 4]);
            let pixels = Tensor::from_slice(&[image as f32; 12]).view([1, 3, 2, 2]);
            attacked.append(&rows, Some(&pixels));
        }
        attacked
    }

    fn saved(folder: &Path, images: usize) -> CheckpointRef {
        match attacked(images).save(folder, "key").unwrap() {
            Event::Checkpoint { step, path, sha256, .. } => CheckpointRef { step, path, sha256 },
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_saved_comes_back_and_the_newest_two_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let refs: Vec<_> = [2, 4, 5].iter().map(|&images| saved(folder.path(), images)).collect();
        let (found, skipped) = Attacked::newest(&[refs[2].clone()], "key");
        assert_eq!((found.len(), skipped), (5, vec![]));
        assert_eq!(found, attacked(5));
        assert!(found.distances[3].is_infinite() && found.finder(3) == Finder::Apgd);
        assert_eq!(found.perturbed(2).size(), [5, 3, 2, 2]);
        assert!(!refs[0].path.exists() && refs[1].path.exists());
    }

    #[test]
    fn what_is_damaged_or_of_another_attack_is_skipped_with_its_reason() {
        let folder = tempfile::tempdir().unwrap();
        let refs = [saved(folder.path(), 4), saved(folder.path(), 6)];
        fs::write(&refs[1].path, "damaged").unwrap();
        let (found, skipped) = Attacked::newest(&[refs[1].clone(), refs[0].clone()], "key");
        assert_eq!(found.len(), 4);
        assert!(skipped.len() == 1 && skipped[0].contains("damaged"), "{skipped:?}");
        let (found, skipped) = Attacked::newest(&refs[..1], "another");
        assert_eq!(found, Attacked::default());
        assert!(skipped[0].contains("another attack"), "{skipped:?}");
    }
}
