//! A sum whose bits depend on the number of shards and on nothing else.
//!
//! Floating-point addition is not associative, so that the last bits of a sum over ranks change with their number. Here
//! the summands are the *shards* of a batch, whose number is part of the experiment, added along a binary tree that
//! this number fixes. Ranks only decide where an addition is carried out.

use tch::Tensor;

use crate::{Error, ProcessGroup, check};

/// One addition of the tree: the sum at `right` is added to the sum at `left`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Join {
    left: u32,
    right: u32,
}

/// The additions over `shards` summands, bottom up; the result is at 0.
///
/// Neighbours at distance 1 join, then at 2, 4 and so on; one without a neighbour waits for the next level.
fn joins(shards: u32) -> impl Iterator<Item = Join> {
    let strides = std::iter::successors(Some(1_u32), |stride| stride.checked_mul(2)).take_while(move |s| *s < shards);
    strides.flat_map(move |stride| {
        let last = shards - stride;
        (0..last).step_by(2 * stride as usize).map(move |left| Join { left, right: left + stride })
    })
}

/// The sum over all shards of all ranks, on every rank: the same bits for any world size that divides `shards`.
///
/// `parts` are this rank's k = `shards / world_size` shards in order: rank r holds r·k to (r+1)·k - 1. They are
/// one-dimensional and contiguous, with equal length and type. Their memory is used for the sum, so no two may share
/// it.
///
/// If two ranks hold complete subtrees, the last addition is an all-reduce, because a + b and b + a have the same bits.
/// Otherwise partial sums are sent up the tree, and rank 0 broadcasts the result.
pub fn tree_sum(group: &ProcessGroup, parts: Vec<Tensor>, shards: u32) -> Result<Tensor, Error> {
    let _no_grad = tch::no_grad_guard();
    let checked = check_parts(group, &parts, shards);
    let nothing = Tensor::new();
    group.agree_tree_sum(parts.first().unwrap_or(&nothing), shards, checked)?;

    let per_rank = shards / group.world_size();
    let first = group.rank() * per_rank;
    let owner = |shard: u32| shard / per_rank;
    let part = |shard: u32| &parts[(shard - first) as usize];
    let (local, crossing): (Vec<_>, Vec<_>) = joins(shards).partition(|join| owner(join.left) == owner(join.right));
    if group.world_size() == 2 && crossing.len() == 1 {
        // Only the last join crosses ranks: each rank's shards are a complete subtree.
        for join in local.iter().filter(|join| owner(join.left) == group.rank()) {
            add(part(join.left), part(join.right))?;
        }
        group.all_reduce_sum(part(first))?;
    } else {
        join_across_ranks(group, shards, owner, part)?;
        if group.world_size() > 1 {
            group.broadcast(part(first), 0)?;
        }
    }
    Ok(part(first).shallow_clone())
}

/// Carries out all joins in which this rank has a side. All ranks go through the same list in the same order, so that
/// both ranks of the earliest open join are always at it: there is no deadlock.
fn join_across_ranks<'a>(
    group: &ProcessGroup,
    shards: u32,
    owner: impl Fn(u32) -> u32,
    part: impl Fn(u32) -> &'a Tensor,
) -> Result<(), Error> {
    let me = group.rank();
    let mut received = None;
    for Join { left, right } in joins(shards) {
        match (owner(left) == me, owner(right) == me) {
            (true, true) => add(part(left), part(right))?,
            (true, false) => {
                let buffer: &Tensor = match &received {
                    Some(buffer) => buffer,
                    None => received.insert(part(left).f_empty_like()?),
                };
                group.recv(buffer, owner(right))?;
                add(part(left), buffer)?;
            }
            (false, true) => group.send(part(right), owner(left))?,
            (false, false) => {}
        }
    }
    Ok(())
}

fn add(left: &Tensor, right: &Tensor) -> Result<(), Error> {
    // Another handle of the same memory, because tch wants `&mut` for writing.
    left.shallow_clone().f_add_(right).map(drop).map_err(Error::from)
}

fn check_parts(group: &ProcessGroup, parts: &[Tensor], shards: u32) -> Result<(), Error> {
    let invalid = |why: String| Err(Error::Invalid(format!("tree_sum: {why}")));
    let world_size = group.world_size();
    if shards == 0 || !shards.is_multiple_of(world_size) {
        return invalid(format!("{shards} shards cannot be split evenly over {world_size} ranks"));
    }
    if parts.len() != (shards / world_size) as usize {
        return invalid(format!(
            "{} parts were given, but each of {world_size} ranks holds {} of {shards} shards",
            parts.len(),
            shards / world_size
        ));
    }
    for part in parts {
        check::writable("tree_sum", part, group.device())?;
        let (like, kind) = (parts[0].size(), parts[0].kind());
        if part.dim() != 1 || part.size() != like || part.kind() != kind || part.device() != parts[0].device() {
            return invalid(format!(
                "parts must be flat, of equal length, type and device: one is {:?} {:?}, the first is {kind:?} {like:?}",
                part.kind(),
                part.size()
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Kind;

    #[test]
    fn the_tree_is_fixed_by_the_number_of_shards() {
        let pairs = |shards| joins(shards).map(|join| (join.left, join.right)).collect::<Vec<_>>();
        assert_eq!(pairs(1), []);
        assert_eq!(pairs(2), [(0, 1)]);
        assert_eq!(pairs(3), [(0, 1), (0, 2)]);
        assert_eq!(pairs(4), [(0, 1), (2, 3), (0, 2)]);
        assert_eq!(pairs(6), [(0, 1), (2, 3), (4, 5), (0, 2), (0, 4)]);
        for shards in 1..40 {
            let mut rights: Vec<_> = joins(shards).map(|join| join.right).collect();
            rights.sort_unstable();
            assert_eq!(rights, (1..shards).collect::<Vec<_>>(), "every shard but 0 is added exactly once");
        }
    }

    #[test]
    fn one_rank_adds_along_the_tree() {
        let values = [1e8_f32, 1.0, -1e8, 1.0];
        let parts = values.map(|value| Tensor::from_slice(&[value])).into();
        let sum = tree_sum(&ProcessGroup::alone(), parts, 4).unwrap();
        // (1e8 + 1) + (-1e8 + 1), each rounded to a float: 0. From left to right it would be 1.
        assert_eq!(f32::try_from(&sum.get(0)).unwrap(), 0.0);
    }

    #[test]
    fn refuses_parts_that_do_not_fit() {
        let flat = |length: i64| Tensor::ones([length], (Kind::Float, tch::Device::Cpu));
        let group = ProcessGroup::alone();
        let refusal = |parts, shards| match tree_sum(&group, parts, shards) {
            Err(Error::Invalid(text)) => text,
            other => panic!("expected a refusal, got {other:?}"),
        };
        assert!(refusal(vec![], 0).contains("0 shards"));
        assert!(refusal(vec![flat(2)], 2).contains("1 parts"));
        assert!(refusal(vec![flat(2), flat(3)], 2).contains("equal length"));
        assert!(refusal(vec![flat(4).reshape([2, 2])], 1).contains("flat"));
    }
}
