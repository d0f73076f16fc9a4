//! Pictures of what was learnt, for people: views that it was trained on, nearest neighbours, and the embedding in a plane.

use std::fmt::Write as _;

use tch::{Device, Kind, Tensor};

use super::trainer::Trainer;
use crate::artifact;
use crate::augment;
use crate::failure::Failure;
use crate::features::{Orientation, features_by, pixels};
use crate::monitor::nearest;
use crate::sheet::sheet;
use crate::stage::RankContext;

/// Images of the training set among which neighbours are looked for ...
const BANK: usize = 2000;
/// ... and those of the embedding; they are in no way trained on by their labels.
const QUERIES: usize = 500;
/// Neighbours of each image.
const NEIGHBOURS: i64 = 5;

impl Trainer<'_> {
    /// Writes pictures of as many images as the spec asks for: on rank 0, with features from all ranks.
    ///
    /// `views.png`: each image above its two views as of the first epoch. `neighbours.png`: each image above the nearest of the
    /// monitor's bank by the cosine of their features. `embedding.csv`: the monitor's queries by the first two principal
    /// components of their features.
    pub(super) fn write_pictures(&self, rank: &mut RankContext<'_>) -> Result<(), Failure> {
        if self.spec.pictures == 0 {
            return Ok(());
        }
        let images = &self.data.train;
        let first = |ids: &[i64], most: usize| ids.iter().copied().take(most).collect::<Vec<_>>();
        let (bank, queries) = (first(self.monitor.bank(), BANK), first(self.monitor.queries(), QUERIES));
        let encode = |images: &Tensor| self.net.model.features(images);
        let bank_features = features_by(encode, images, &bank, Orientation::AsIs, rank.group)?;
        let query_features = features_by(encode, images, &queries, Orientation::AsIs, rank.group)?;
        if !rank.is_rank_zero() {
            return Ok(());
        }
        let wrong = |error: image::ImageError| Failure::Unknown(format!("cannot draw a picture: {error}"));
        let shown = first(&queries, self.spec.pictures as usize);
        let count = shown.len() as i64;
        let plain = pixels(images, &shown, Orientation::AsIs).to_device(Device::Cpu);
        let views =
            augment::pairs(images, &shown, &self.spec.augment, rank.task.spec.seed, 0, 1).to_device(Device::Cpu);
        let views = sheet(&[&plain, &views.narrow(0, 0, count), &views.narrow(0, count, count)]).map_err(wrong)?;

        let nearest = ranked(&query_features.narrow(0, 0, count), &bank_features);
        let rows: Vec<Tensor> = (nearest.iter())
            .map(|places| {
                let ids: Vec<i64> = places.iter().map(|&place| bank[place as usize]).collect();
                pixels(images, &ids, Orientation::AsIs).to_device(Device::Cpu)
            })
            .collect();
        let rows: Vec<&Tensor> = std::iter::once(&plain).chain(&rows).collect();
        let neighbours = sheet(&rows).map_err(wrong)?;

        let classes: Vec<&str> =
            (queries.iter()).map(|&id| self.data.classes[images.labels[id as usize] as usize].as_str()).collect();
        let embedding = embedding(&query_features, &queries, &classes);
        let folder = rank.task.artifacts_dir();
        for (kind, name, bytes) in [
            ("picture", "views.png", views),
            ("picture", "neighbours.png", neighbours),
            ("embedding", "embedding.csv", embedding.into_bytes()),
        ] {
            rank.emit(artifact::write(&folder, kind, name, &bytes)?);
        }
        Ok(())
    }
}

/// Places in `bank` of the nearest to each row of `queries`: the nearest of all first, then the second, ...
fn ranked(queries: &Tensor, bank: &Tensor) -> Vec<Vec<i64>> {
    let most = NEIGHBOURS.min(bank.size()[0]);
    let (_, places) = nearest(queries, bank, most);
    let places = places.tr().to_device(Device::Cpu);
    (0..most).map(|rank| Vec::try_from(places.get(rank).contiguous()).unwrap_or_default()).collect()
}

/// The first two principal components of each row of `features` `[N, F]`, as f64 `[N, 2]`, and their shares of the variance. Each
/// component points to where its largest loading is positive, so that equal features have equal pictures.
fn principal(features: &Tensor) -> (Tensor, [f64; 2]) {
    let features = features.to_device(Device::Cpu).to_kind(Kind::Double);
    let centred = &features - features.mean_dim([0i64].as_slice(), true, Kind::Double);
    let width = centred.size()[1];
    if width < 2 {
        return (Tensor::zeros([features.size()[0], 2], (Kind::Double, Device::Cpu)), [0.0; 2]);
    }
    let (variances, directions) = centred.tr().matmul(&centred).linalg_eigh("L");
    let whole = variances.sum(Kind::Double).double_value(&[]).max(f64::MIN_POSITIVE);
    let share = |place: i64| variances.double_value(&[place]).max(0.0) / whole;
    // In ascending order.
    let directions = directions.narrow(1, width - 2, 2).flip([1i64]);
    let largest = directions.abs().argmax(0, true);
    let signs = directions.gather(0, &largest, false).sign();
    (centred.matmul(&(directions * signs)), [share(width - 1), share(width - 2)])
}

fn embedding(features: &Tensor, ids: &[i64], classes: &[&str]) -> String {
    let (points, [first, second]) = principal(features);
    let points: Vec<f64> = Vec::try_from(points.contiguous().flatten(0, -1)).unwrap_or_default();
    let mut csv = String::from("image,class,x,y,x_share,y_share\n");
    for ((id, class), point) in ids.iter().zip(classes).zip(points.chunks_exact(2)) {
        // Names of folders: a comma is no more in them than a line's end.
        let class = class.replace([',', '"', '\n', '\r'], " ");
        // Writing to a string cannot fail.
        let _ = writeln!(csv, "{id},{class},{:.6},{:.6},{first:.6},{second:.6}", point[0], point[1]);
    }
    csv
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Points a * u + b * v with orthonormal u and v, a and b uncorrelated: the components are a and b.
    #[test]
    fn components_are_those_of_known_directions() {
        let (u, v) = ([0.0, 0.6, 0.8, 0.0], [0.0, 0.8, -0.6, 0.0]);
        let (a, b) = ([4.0, -4.0, 2.0, -2.0], [0.5, 0.5, -0.5, -0.5]);
        let rows: Vec<f64> = (0..4).flat_map(|row| (0..4).map(move |k| 7.0 + a[row] * u[k] + b[row] * v[k])).collect();
        let (points, shares) = principal(&Tensor::from_slice(&rows).view([4, 4]));
        for row in 0..4 {
            let at = |column| points.double_value(&[row as i64, column]);
            assert!((at(0) - a[row]).abs() < 1e-9 && (at(1) - b[row]).abs() < 1e-9, "{row}: {} {}", at(0), at(1));
        }
        assert!((shares[0] - 40.0 / 41.0).abs() < 1e-9 && (shares[1] - 1.0 / 41.0).abs() < 1e-9, "{shares:?}");
        let (one, shares) = principal(&Tensor::from_slice(&[1f32, 2.0]).view([2, 1]));
        assert_eq!((one.size(), shares), (vec![2, 2], [0.0; 2]));
    }

    #[test]
    fn the_nearest_are_first_and_length_does_not_count() {
        let bank = Tensor::from_slice(&[0f32, 9.0, 0.1, 0.0, 1.0, 1.0]).view([3, 2]);
        let queries = Tensor::from_slice(&[5f32, 1.0, 0.0, 0.2]).view([2, 2]);
        assert_eq!(ranked(&queries, &bank), [[1, 0], [2, 2], [0, 1]]);
    }

    #[test]
    fn a_line_for_each_image() {
        let features = Tensor::from_slice(&[1f32, 0.0, -1.0, 0.0]).view([2, 2]);
        let csv = embedding(&features, &[7, 3], &["cat", "a,b"]);
        assert_eq!(
            csv,
            "image,class,x,y,x_share,y_share\n7,cat,1.000000,0.000000,1.000000,0.000000\n3,a b,-1.000000,0.000000,1.000000,0.000000\n"
        );
    }
}
