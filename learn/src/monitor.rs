//! A measure of the encoder during pretraining: whether nearest neighbours share a class.

use tandem_collective::ProcessGroup;
use tandem_domain::spec;
use tch::{Kind, Tensor};

use crate::data::Images;
use crate::failure::Failure;
use crate::features::{Orientation, features_by};
use crate::random::{Purpose, Stream};

/// Temperature of the votes, exp(cos / T): Wu et al. 2018 (instance discrimination), also DINO's.
const TEMPERATURE: f64 = 0.07;

/// Two disjoint draws from the *training* set: a bank, whose labels vote, and queries, whose labels are predicted.
///
/// Pretraining sees these images, never their labels. The test set is not used.
#[derive(Debug)]
pub struct Monitor {
    bank: Vec<i64>,
    queries: Vec<i64>,
    neighbours: i64,
    classes: i64,
}

impl Monitor {
    /// Draws a quarter as many queries as images in the bank. Of a small set, four fifths are the bank.
    pub fn new(spec: &spec::Monitor, images: usize, classes: usize, seed: u64) -> Self {
        let bank = (spec.bank as usize).min(images * 4 / 5).max(1);
        let mut order = Stream::new(seed, Purpose::Holdout, 0, 0, 0).permutation(images);
        let mut queries = order.split_off(bank.min(images));
        queries.truncate(bank.div_ceil(4));
        Self {
            neighbours: i64::from(spec.neighbours.max(1)).min(order.len() as i64),
            bank: order,
            queries,
            classes: classes as i64,
        }
    }

    /// Images whose labels vote.
    pub fn bank(&self) -> &[i64] {
        &self.bank
    }

    /// Images whose labels are predicted.
    pub fn queries(&self) -> &[i64] {
        &self.queries
    }

    /// The share of queries whose class wins the weighted vote of their nearest neighbours, by cosine similarity of
    /// what `encode` returns (see [`features_by`]).
    pub fn knn_accuracy(
        &self,
        encode: impl Fn(&Tensor) -> Tensor,
        images: &Images,
        group: &ProcessGroup,
    ) -> Result<f64, Failure> {
        let bank = features_by(&encode, images, &self.bank, Orientation::AsIs, group)?;
        let queries = features_by(&encode, images, &self.queries, Orientation::AsIs, group)?;
        let labels = |ids: &[i64]| {
            let labels: Vec<i64> = ids.iter().map(|&id| images.labels[id as usize]).collect();
            Tensor::from_slice(&labels).to_device(bank.device())
        };
        let predicted = knn(&bank, &labels(&self.bank), &queries, self.neighbours, self.classes);
        Ok(predicted.eq_tensor(&labels(&self.queries)).to_kind(Kind::Float).mean(None).double_value(&[]))
    }
}

/// Of each row of `queries` `[Q, F]` the nearest rows of `bank` `[B, F]` by cosine, the nearest first: cosines and places, both
/// `[Q, neighbours]`.
pub(crate) fn nearest(queries: &Tensor, bank: &Tensor, neighbours: i64) -> (Tensor, Tensor) {
    let unit = |x: &Tensor| x / x.norm_scalaropt_dim(2.0, [1i64], true).clamp_min(1e-12);
    unit(queries).matmul(&unit(bank).tr()).topk(neighbours, 1, true, true)
}

/// The class of each row of `queries`, by weighted vote of its `neighbours` nearest rows of `bank`.
fn knn(bank: &Tensor, labels: &Tensor, queries: &Tensor, neighbours: i64, classes: i64) -> Tensor {
    let (cosines, nearest) = nearest(queries, bank, neighbours);
    let votes = Tensor::zeros([queries.size()[0], classes], (Kind::Float, queries.device()));
    votes.scatter_add(1, &labels.take(&nearest), &(cosines / TEMPERATURE).exp()).argmax(1, false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bank_and_queries_are_disjoint_and_fit_a_small_set() {
        let spec = spec::Monitor { bank: 40, neighbours: 20, ..spec::Monitor::default() };
        for images in [1000, 20] {
            let monitor = Monitor::new(&spec, images, 10, 7);
            assert!(monitor.queries.iter().all(|id| !monitor.bank.contains(id)));
            assert!(!monitor.queries.is_empty() && monitor.neighbours <= monitor.bank.len() as i64);
        }
        assert_eq!(Monitor::new(&spec, 1000, 10, 7).queries.len(), 10);
    }

    #[test]
    fn nearer_neighbours_weigh_more() {
        // The query points along the one example of class 1; two of class 0 stand at 60 degrees.
        let bank = Tensor::from_slice(&[2f32, 0., 0.5, 0.866, 0.5, -0.866]).view([3, 2]);
        let labels = Tensor::from_slice(&[1i64, 0, 0]);
        let query = Tensor::from_slice(&[3f32, 0.]).view([1, 2]);
        assert_eq!(knn(&bank, &labels, &query, 3, 2).int64_value(&[0]), 1);
    }
}
