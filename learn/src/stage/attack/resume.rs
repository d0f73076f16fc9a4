//! The results of the images attacked so far, and their checkpoint: one file, `attacked-00000064-f3.safetensors`, from which
//! an interrupted attack goes on with the next image. Nothing in it depends on the number of ranks.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

use crate::attack::best_of::Finder;
use crate::checkpoint::{CheckpointKind, Written};
use crate::failure::Failure;
use crate::files::{read_verified, sha256, write_synced};
use crate::task::CheckpointRef;

pub(super) const ATTACKED: CheckpointKind = CheckpointKind {
    finished: ("attacked-", ".safetensors"),
    unfinished: (".attacked-", ".safetensors.tmp"),
    unit: "image",
    remove: |path| fs::remove_file(path),
};

const FORMAT: u32 = 1;

/// Of this many images, the first ones, the adversarial ones are kept too, for pictures and for others to check.
pub(super) const KEPT_IMAGES: usize = 1000;

/// Results of the images attacked so far, in the order of the attack.
#[derive(Debug, Default, PartialEq)]
pub(super) struct AttackedImages {
    /// Predicted class of the clean image.
    pub(super) predictions: Vec<i64>,
    /// 0 for a clean error, infinite for an image that was not broken.
    pub(super) distances: Vec<f32>,
    /// Distances that attacks with gradients found.
    pub(super) white_box: Vec<f32>,
    /// [`Finder`] codes.
    pub(super) finders: Vec<u8>,
    /// f32 pixels of the first [`KEPT_IMAGES`] images, perturbed, planar.
    pub(super) perturbed: Vec<f32>,
    /// Time spent over all attempts.
    pub(super) seconds: f64,
}

#[derive(Serialize, Deserialize)]
struct CheckpointHeader {
    format: u32,
    /// Hash of the job's spec, the classifier and the test images: a checkpoint continues one attack and no other.
    key: String,
    seconds: f64,
}

impl AttackedImages {
    pub(super) fn len(&self) -> usize {
        self.distances.len()
    }

    pub(super) fn finder(&self, image: usize) -> Finder {
        Finder::from_code(self.finders[image])
    }

    /// How many images have distance 0 although they are classified rightly, or another one although they are not. There
    /// should be none. `labels` are those of the attacked images.
    pub(super) fn misplaced(&self, labels: impl Iterator<Item = i64>) -> usize {
        let all = self.predictions.iter().zip(labels).zip(&self.distances);
        all.filter(|((prediction, label), distance)| (*prediction != label) != (**distance == 0.0)).count()
    }

    /// f32 `[K, 3, H, W]`, on the CPU.
    pub(super) fn perturbed(&self, side: i64) -> Tensor {
        Tensor::from_slice(&self.perturbed).view([-1, 3, side, side])
    }

    /// `rows` is f64 `[n, 4]` of predictions, distances, white-box distances and finders; `images` f32 `[n, 3, H, W]`, if
    /// they are among those to keep.
    pub(super) fn append(&mut self, rows: &Tensor, images: Option<&Tensor>) {
        let column = |index: i64| {
            Vec::<f64>::try_from(rows.select(1, index).to_kind(Kind::Double).contiguous().to_device(Device::Cpu))
                .unwrap_or_default()
        };
        self.predictions.extend(column(0).iter().map(|&value| value as i64));
        self.distances.extend(column(1).iter().map(|&value| value as f32));
        self.white_box.extend(column(2).iter().map(|&value| value as f32));
        self.finders.extend(column(3).iter().map(|&value| value as u8));
        if let Some(images) = images {
            let pixels = images.to_kind(Kind::Float).contiguous().flatten(0, -1).to_device(Device::Cpu);
            let each = pixels.numel() / (images.size()[0].max(1) as usize);
            self.perturbed.extend(Vec::<f32>::try_from(pixels).unwrap_or_default());
            self.perturbed.truncate(KEPT_IMAGES * each);
        }
    }

    /// Writes the file at `path`.
    pub(super) fn write(&self, path: &Path, key: &str) -> Result<Written, Failure> {
        let encode = |seconds| {
            self.encode(key, seconds)
                .map_err(|why| Failure::Unknown(format!("cannot encode the attacked images: {why}")))
        };
        let bytes = encode(self.seconds)?;
        write_synced(path, &bytes)?;
        Ok(Written { sha256: sha256(&bytes), state_sha256: sha256(&encode(0.0)?), bytes: bytes.len() as u64 })
    }

    /// The contents of `candidate`, if it is whole and of this attack.
    pub(super) fn load(candidate: &CheckpointRef, key: &str) -> Result<Self, String> {
        let name = candidate.path.file_name().unwrap_or_default().to_string_lossy();
        let bytes = read_verified(&candidate.path, &name, &candidate.sha256, None)?;
        let attacked = Self::decode(&bytes, key)?;
        if attacked.len() as u64 != candidate.step {
            return Err(format!("it is of image {}", attacked.len()));
        }
        Ok(attacked)
    }

    /// Without the `seconds` that it took, equal attacks are equal bytes.
    fn encode(&self, key: &str, seconds: f64) -> Result<Vec<u8>, String> {
        let card = CheckpointHeader { format: FORMAT, key: key.to_owned(), seconds };
        let card = serde_json::to_string(&card).map_err(|error| error.to_string())?;
        let columns = [
            ("predictions", Dtype::I64, little_endian(&self.predictions, |value| value.to_le_bytes())),
            ("distances", Dtype::F32, little_endian(&self.distances, |value| value.to_le_bytes())),
            ("white_box", Dtype::F32, little_endian(&self.white_box, |value| value.to_le_bytes())),
            ("by", Dtype::U8, self.finders.clone()),
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
        let card: CheckpointHeader = serde_json::from_str(card).map_err(|error| format!("its card: {error}"))?;
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
            finders: column("by")?,
            perturbed: from_little_endian(&column("perturbed")?, f32::from_le_bytes),
            seconds: card.seconds,
        };
        let lengths = [read.predictions.len(), read.white_box.len(), read.finders.len()];
        if lengths.iter().any(|&len| len != read.len()) {
            return Err("its columns differ in length".into());
        }
        Ok(read)
    }
}

pub(super) fn little_endian<T, const N: usize>(values: &[T], bytes: impl Fn(&T) -> [u8; N]) -> Vec<u8> {
    values.iter().flat_map(bytes).collect()
}

fn from_little_endian<T, const N: usize>(bytes: &[u8], value: impl Fn([u8; N]) -> T) -> Vec<T> {
    bytes.as_chunks::<N>().0.iter().map(|chunk| value(*chunk)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::{PruneScope, Saved, newest, save};

    fn attacked(images: usize) -> AttackedImages {
        let mut attacked = AttackedImages { seconds: 1.5, ..AttackedImages::default() };
        for image in 0..images {
            let value = if image % 3 == 0 { f64::INFINITY } else { 0.1 * image as f64 };
            let rows = Tensor::from_slice(&[image as f64, value, value, (image % 8) as f64]).view([1, 4]);
            let pixels = Tensor::from_slice(&[image as f32; 12]).view([1, 3, 2, 2]);
            attacked.append(&rows, Some(&pixels));
        }
        attacked
    }

    fn save_by(folder: &Path, fence: i64, images: usize) -> Saved {
        let scope = PruneScope::new(fence, &[], 0);
        save(&ATTACKED, folder, &scope, images as u64, |path| attacked(images).write(path, "key")).unwrap()
    }

    fn saved(folder: &Path, fence: i64, images: usize) -> CheckpointRef {
        let Saved { path, sha256, .. } = save_by(folder, fence, images);
        CheckpointRef { step: images as u64, path, sha256 }
    }

    fn load(candidates: &[CheckpointRef], key: &str) -> (Option<AttackedImages>, Vec<String>) {
        newest(&ATTACKED, candidates, |candidate| AttackedImages::load(candidate, key))
    }

    #[test]
    fn what_is_saved_comes_back_and_the_newest_three_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let tmp = |fence: i64| folder.path().join(format!(".attacked-00000001-f{fence}.safetensors.tmp"));
        [tmp(2), tmp(3), tmp(4)].iter().for_each(|path| fs::write(path, "cut off").unwrap());
        let refs: Vec<_> = [2, 3, 4, 5].iter().map(|&images| saved(folder.path(), 3, images)).collect();
        let (found, skipped) = load(&[refs[3].clone()], "key");
        let found = found.unwrap();
        assert_eq!((&found, skipped), (&attacked(5), vec![]));
        assert!(found.distances[3].is_infinite() && found.finder(3) == Finder::Apgd);
        assert_eq!(found.perturbed(2).size(), [5, 3, 2, 2]);
        assert!(!refs[0].path.exists() && refs[1].path.exists());
        assert_eq!([2, 3, 4].map(|fence| tmp(fence).exists()), [false, false, true]);
    }

    #[test]
    fn a_stale_attempt_leaves_those_of_the_live_one_alone() {
        let folder = tempfile::tempdir().unwrap();
        let mut live = [saved(folder.path(), 18, 4), saved(folder.path(), 18, 6)];
        let stale: Vec<_> = [2, 4, 6, 8].map(|images| saved(folder.path(), 17, images)).into();
        assert!(live.iter().all(|row| load(std::slice::from_ref(row), "key").1.is_empty()));
        live.reverse();
        assert_eq!(load(&live, "key"), (Some(attacked(6)), vec![]));
        assert_eq!(stale.iter().filter(|stale| stale.path.exists()).count(), 3);
        assert_eq!(stale[2].sha256, live[0].sha256, "the same bytes of any attempt");
    }

    #[test]
    fn what_is_damaged_missing_or_of_another_attack_is_skipped_with_its_reason() {
        let folder = tempfile::tempdir().unwrap();
        let of = |images: usize| saved(&folder.path().join(images.to_string()), 1, images);
        let [good, flipped, cut, missing] = [4, 6, 7, 8].map(of);
        let mut bytes = fs::read(&flipped.path).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(&flipped.path, &bytes).unwrap();
        fs::write(&cut.path, &fs::read(&cut.path).unwrap()[..100]).unwrap();
        fs::remove_file(&missing.path).unwrap();
        let candidates = [missing, cut, flipped, good.clone()];
        let (found, skipped) = load(&candidates, "key");
        assert_eq!(found, Some(attacked(4)));
        let damaged = |images: usize| format!("attacked-{images:08}-f1.safetensors is damaged (sha256 ");
        let reasons = ["No such file".to_owned(), damaged(7), damaged(6)];
        assert_eq!(skipped.len(), reasons.len());
        for (note, reason) in skipped.iter().zip(reasons) {
            assert!(note.contains(&reason) && note.ends_with("; going on from image 4"), "{note}");
        }
        let (found, skipped) = load(&[good], "another");
        assert_eq!(found, None);
        assert!(skipped[0].ends_with("it belongs to another attack; starting from the beginning"), "{skipped:?}");
    }

    /// A folder in the place of a file: not even root can remove it as a file.
    #[test]
    fn what_cannot_be_removed_is_reported_and_fails_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let stuck = folder.path().join("attacked-00000001-f3.safetensors");
        fs::create_dir(&stuck).unwrap();
        let saved = [2, 3, 4].map(|images| save_by(folder.path(), 3, images));
        let not_removed = &saved[2].not_removed;
        assert!(saved[2].path.is_file() && not_removed.len() == 1, "{not_removed:?}");
        assert!(not_removed[0].contains(stuck.to_str().unwrap()), "{not_removed:?}");
    }
}
