//! The shortest way from a point of the unit cube to a hyperplane, inside the cube (Croce & Hein 2020, section 2.1 and
//! appendix A). FAB takes it to a linearised boundary.

use tandem_domain::spec::Norm;
use tch::{Kind, Tensor};

/// Newton steps at most. Each passes at least one corner of a concave, piecewise linear function of one variable.
const NEWTON: u32 = 30;

/// Shortest d (in l1, l2 or linf), row by row, with point + d in [0, 1] and w·d = `gap`.
///
/// `point` and `w` are `[B, n]`, `gap` `[B]`. If the hyperplane misses the cube, d goes to the corner nearest to it; where
/// w is 0, so is d. For l0 the result is that of l1, which has at most one element more than needed.
pub fn shortest(norm: Norm, point: &Tensor, w: &Tensor, gap: &Tensor) -> Tensor {
    let gap = gap.unsqueeze(1);
    // Every element moves to the side that closes the gap, at rate |w| and at most by its room.
    let sign = w.sign() * gap.sign();
    let rate = w.abs();
    let room = (point.ones_like() - point).where_self(&sign.gt(0.0), point) * sign.abs();
    let wanted = gap.abs();
    let way = match norm {
        // For every t, d = min(rate·t, room) is the shortest of all that close as much; in linf it is min(t, room).
        Norm::L2 => (&rate * root(&rate.square(), &(&room / rate.clamp_min(1e-30)), &wanted)).minimum(&room),
        Norm::Linf => root(&rate, &room, &wanted).minimum(&room),
        // One element after the other, those with the highest rate first, the last one in part.
        Norm::L0 | Norm::L1 => {
            let (sorted, order) = rate.sort(1, true);
            let room = room.gather(1, &order, false);
            let closes = &sorted * &room;
            let before = closes.cumsum(1, None) - &closes;
            let part = ((wanted - before) / sorted.clamp_min(1e-30)).clamp_min(0.0).minimum(&room);
            part.zeros_like().scatter(1, &order, &part)
        }
    };
    way * sign
}

/// The smallest t `[B, 1]` with Σ slope_i·min(t, end_i) ≥ `wanted`, or the largest end if there is none. Newton's method
/// from 0 never passes the root of a concave function, and reaches that of a piecewise linear one exactly.
fn root(slope: &Tensor, end: &Tensor, wanted: &Tensor) -> Tensor {
    let sum = |values: Tensor| values.sum_dim_intlist([1i64].as_slice(), true, values.kind());
    let last = end.amax([1i64].as_slice(), true);
    let mut t = wanted.zeros_like();
    for _ in 0..NEWTON {
        let left = wanted - sum(slope * end.minimum(&t));
        let rises = sum(slope * end.gt_tensor(&t).to_kind(Kind::Float).to_kind(slope.kind()));
        t = (&t + left.clamp_min(0.0) / rises.clamp_min(1e-30)).minimum(&last);
    }
    t
}
