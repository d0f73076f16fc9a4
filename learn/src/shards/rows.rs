//! The order of rows: by shard as they are computed, by view as the objective takes them.

use tch::Tensor;

/// `[S, v n, D]`, each shard's first views before its second, to `[v S n, D]`, all first views before all second ones.
pub(super) fn by_view(shards: &Tensor, views: i64) -> Tensor {
    let (s, rows, d) = (shards.size()[0], shards.size()[1], shards.size()[2]);
    shards.view([s, views, rows / views, d]).transpose(0, 1).reshape([s * rows, d])
}

/// The inverse of `by_view`.
pub(super) fn by_shard(rows: &Tensor, views: i64, shards: u32) -> Tensor {
    let (s, count, d) = (i64::from(shards), rows.size()[0], rows.size()[1]);
    rows.view([views, s, count / views / s, d]).transpose(0, 1).reshape([s, count / s, d])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_travel_from_shards_to_views_and_back() {
        // Shard s holds rows 10 s + (first views 0, 1; second views 5, 6).
        let shards = Tensor::from_slice(&[0f32, 1., 5., 6., 10., 11., 15., 16.]).view([2, 4, 1]);
        let views = by_view(&shards, 2);
        assert_eq!(Vec::<f32>::try_from(views.view(-1)).unwrap(), [0., 1., 10., 11., 5., 6., 15., 16.]);
        assert!(by_shard(&views, 2, 2).equal(&shards));
        let single = by_view(&shards, 1);
        assert!(single.view(-1).equal(&shards.view(-1)) && by_shard(&single, 1, 2).equal(&shards));
    }
}
