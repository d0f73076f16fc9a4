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
use crate::checkpoint::Claim;
use crate::checkpoint::fenced::Mark;
use crate::failure::Failure;
use crate::files::{publish, read_verified, sha256};
use crate::report::Event;
use crate::task::CheckpointRef;

const FORMAT: u32 = 1;
const PREFIX: &str = "attacked-";
const SUFFIX: &str = ".safetensors";

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

    /// Writes `job_dir/attacked-XXXXXXXX-fN.safetensors` and removes what is surplus now ([`Claim::surplus`]).
    pub(super) fn save(&self, job_dir: &Path, claim: &Claim, key: &str) -> Result<Event, Failure> {
        let bytes =
            self.encode(key).map_err(|why| Failure::Job(format!("cannot encode the attacked images: {why}")))?;
        let step = self.len() as u64;
        let path = publish(job_dir, &Mark { step, fence: claim.fence }.name(PREFIX, SUFFIX), &bytes)?;
        prune(job_dir, claim, step);
        let (sha256, bytes) = (sha256(&bytes), bytes.len() as u64);
        Ok(Event::Checkpoint { step, path, sha256, bytes })
    }

    /// The first of `candidates` (newest first) that is whole and of this attack, and why each one before was skipped.
    pub(super) fn newest(candidates: &[CheckpointRef], key: &str) -> (Self, Vec<String>) {
        let mut skipped = Vec::new();
        let found = candidates.iter().find_map(|candidate| {
            let loaded = Self::load(candidate, key);
            let note = |why| format!("checkpoint of {} attacked images skipped: {why}", candidate.step);
            loaded.map_err(|why| skipped.push(note(why))).ok()
        });
        let onward = match &found {
            Some(attacked) => format!("going on from image {}", attacked.len()),
            None => "starting from the beginning".to_owned(),
        };
        (found.unwrap_or_default(), skipped.into_iter().map(|note| format!("{note}; {onward}")).collect())
    }

    fn load(candidate: &CheckpointRef, key: &str) -> Result<Self, String> {
        let name = candidate.path.file_name().unwrap_or_default().to_string_lossy();
        let bytes = read_verified(&candidate.path, &name, &candidate.sha256, None)?;
        let attacked = Self::decode(&bytes, key)?;
        if attacked.len() as u64 != candidate.step {
            return Err(format!("it is of {} attacked images", attacked.len()));
        }
        Ok(attacked)
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

/// A file that cannot be removed harms nobody.
fn prune(job_dir: &Path, claim: &Claim, step: u64) {
    let Ok(entries) = fs::read_dir(job_dir) else { return };
    let (mut finished, mut surplus) = (Vec::new(), Vec::new());
    for name in entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()) {
        let unfinished = name.strip_prefix('.').and_then(|name| Mark::parse(name, PREFIX, &format!("{SUFFIX}.tmp")));
        if let Some(mark) = Mark::parse(&name, PREFIX, SUFFIX) {
            finished.push((mark, name));
        } else if unfinished.is_some_and(|mark| mark.fence <= claim.fence) {
            surplus.push(name);
        }
    }
    surplus.extend(claim.surplus(step, finished));
    surplus.iter().for_each(|name| drop(fs::remove_file(job_dir.join(name))));
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

    fn saved(folder: &Path, fence: i64, images: usize) -> CheckpointRef {
        match attacked(images).save(folder, &Claim::new(fence, &[], 0), "key").unwrap() {
            Event::Checkpoint { step, path, sha256, .. } => CheckpointRef { step, path, sha256 },
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_saved_comes_back_and_the_newest_three_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let tmp = |fence: i64| folder.path().join(format!(".attacked-00000001-f{fence}.safetensors.tmp"));
        [tmp(2), tmp(3), tmp(4)].iter().for_each(|path| fs::write(path, "cut off").unwrap());
        let refs: Vec<_> = [2, 3, 4, 5].iter().map(|&images| saved(folder.path(), 3, images)).collect();
        let (found, skipped) = Attacked::newest(&[refs[3].clone()], "key");
        assert_eq!((found.len(), skipped), (5, vec![]));
        assert_eq!(found, attacked(5));
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
        assert!(live.iter().all(|row| Attacked::newest(std::slice::from_ref(row), "key").1.is_empty()));
        live.reverse();
        assert_eq!(Attacked::newest(&live, "key"), (attacked(6), vec![]));
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
        let (found, skipped) = Attacked::newest(&candidates, "key");
        assert_eq!(found, attacked(4));
        let damaged = |images: usize| format!("attacked-{images:08}-f1.safetensors is damaged (sha256 ");
        let reasons = ["No such file".to_owned(), damaged(7), damaged(6)];
        assert_eq!(skipped.len(), reasons.len());
        for (note, reason) in skipped.iter().zip(reasons) {
            assert!(note.contains(&reason) && note.ends_with("; going on from image 4"), "{note}");
        }
        let (found, skipped) = Attacked::newest(&[good], "another");
        assert_eq!(found, Attacked::default());
        assert!(skipped[0].ends_with("it belongs to another attack; starting from the beginning"), "{skipped:?}");
    }
}
