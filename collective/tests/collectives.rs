//! What ranks do together when all goes well.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod ranks;

use ranks::{TIMEOUT, run};
use tandem_collective::{ProcessGroup, tree_sum};
use tch::{Device, Kind, Tensor};

fn floats(tensor: &Tensor) -> Vec<f32> {
    Vec::try_from(&tensor.flatten(0, -1)).unwrap()
}

#[test]
fn all_reduce_broadcast_barrier_and_all_gather() {
    for world_size in [1, 2, 4] {
        let results = run(world_size, TIMEOUT, |group: ProcessGroup| {
            assert_eq!(group.world_size(), world_size);
            let rank = group.rank() as f32;
            let sum = Tensor::from_slice(&[rank, 10.0 * rank, 1.0]);
            group.all_reduce_sum(&sum).unwrap();
            group.barrier().unwrap();
            let last = Tensor::from_slice(&[rank]);
            group.broadcast(&last, world_size - 1).unwrap();
            let rows = Tensor::from_slice(&[rank, -rank]).reshape([1, 2]);
            let all = group.all_gather(&rows).unwrap();
            assert_eq!(all.size(), [i64::from(world_size), 2]);
            (floats(&sum), floats(&last), floats(&all))
        });
        let ranks: Vec<f32> = (0..world_size).map(|rank| rank as f32).collect();
        let total: f32 = ranks.iter().sum();
        let all: Vec<f32> = ranks.iter().flat_map(|rank| [*rank, -rank]).collect();
        for result in results {
            assert_eq!(
                result,
                (vec![total, 10.0 * total, world_size as f32], vec![world_size as f32 - 1.0], all.clone())
            );
        }
    }
}

#[test]
fn every_type_is_added_and_channels_last_keeps_its_elements() {
    run(2, TIMEOUT, |group| {
        for kind in [Kind::Double, Kind::Half, Kind::BFloat16, Kind::Int, Kind::Int64, Kind::Int8, Kind::Uint8] {
            let tensor = Tensor::from_slice(&[1_i64, 2, 3]).to_kind(kind);
            group.all_reduce_sum(&tensor).unwrap();
            assert_eq!(floats(&tensor.to_kind(Kind::Float)), [2.0, 4.0, 6.0], "{kind:?}");
        }
        let image = Tensor::arange(2 * 3 * 4 * 5, (Kind::Float, Device::Cpu)).reshape([2, 3, 4, 5]);
        let last = image.permute([0, 2, 3, 1]).contiguous().permute([0, 3, 1, 2]);
        assert!(!last.is_contiguous());
        group.all_reduce_sum(&last).unwrap();
        assert_eq!(floats(&last), floats(&(image * 2)));
    });
}

#[test]
fn the_tree_sum_has_the_same_bits_on_any_number_of_ranks() {
    const LENGTH: i64 = 1000;
    // Magnitudes from 1e-4 to 1e4, so that every order of addition rounds differently.
    let shard = |index: u32| {
        let steps = Tensor::arange(LENGTH, (Kind::Float, Device::Cpu));
        let phase = f64::from(index) * 1.7 + 0.3;
        (&steps * 0.37 + phase).sin() * ((&steps * 0.11 + phase).cos() * 9.0).exp()
    };
    let bits = |tensor: &Tensor| floats(tensor).iter().map(|value| value.to_bits()).collect::<Vec<_>>();
    for (shards, world_sizes) in [(4, [1, 2, 4]), (3, [1, 3, 3]), (6, [2, 3, 6]), (8, [1, 2, 4])] {
        let alone = bits(&tree_sum(&ProcessGroup::alone(), (0..shards).map(shard).collect(), shards).unwrap());
        for world_size in world_sizes {
            let sums = run(world_size, TIMEOUT, |group| {
                let each = shards / world_size;
                let parts = (group.rank() * each..(group.rank() + 1) * each).map(shard).collect();
                bits(&tree_sum(&group, parts, shards).unwrap())
            });
            for (rank, sum) in sums.iter().enumerate() {
                assert!(*sum == alone, "{shards} shards, rank {rank} of {world_size}");
            }
        }
        if shards > 3 {
            let in_line = (1..shards).fold(shard(0), |sum, index| sum + shard(index));
            assert_ne!(bits(&in_line), alone, "these numbers would not show a wrong order");
        }
    }
}

#[test]
fn a_group_of_one_needs_no_peers() {
    let group = ProcessGroup::alone();
    let tensor = Tensor::from_slice(&[1.0_f32, 2.0]);
    group.all_reduce_sum(&tensor).unwrap();
    group.broadcast(&tensor, 0).unwrap();
    group.barrier().unwrap();
    let gathered = group.all_gather(&tensor).unwrap();
    assert_eq!(floats(&gathered), [1.0, 2.0]);
    assert_ne!(gathered.data_ptr(), tensor.data_ptr(), "a copy, as with peers");
    assert!(group.broadcast(&tensor, 1).is_err());
}
