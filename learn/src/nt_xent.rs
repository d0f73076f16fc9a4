//! The contrastive loss, eq. (1) of the paper, and figures about the vectors that it takes.

use tch::{Kind, Tensor};

/// NT-Xent, eq. (1): for each of the 2N rows the cross-entropy of finding its partner among the others by cosine
/// similarity over `temperature`; the mean over rows.
///
/// `z` is `[2N, D]`: the first views of N images, then their second views in the same order. `self_term` keeps k = i
/// in the denominator, as eq. (1) is printed; SimCLR (Chen et al. 2020, eq. 1) leaves it out.
///
/// Random `z` in many dimensions give ln(2N - 1).
pub fn nt_xent(z: &Tensor, temperature: f64, self_term: bool) -> Tensor {
    let z = unit(z);
    let positives = (&z * partners(&z)).sum_dim_intlist(1, false, None) / temperature;
    let mut similarities = z.matmul(&z.tr()) / temperature;
    if !self_term {
        similarities = similarities.masked_fill(&diagonal(&z), f64::NEG_INFINITY);
    }
    (similarities.logsumexp([1i64].as_slice(), false) - positives).mean(None)
}

/// Figures about the `[2N, D]` that [`nt_xent`] takes, for people; without a graph.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Geometry {
    /// Share of rows whose partner is their nearest other row.
    pub accuracy: f64,
    /// E‖u - v‖² over partners on the unit sphere (Wang & Isola 2020, eq. 3, alpha = 2): 0 is perfect.
    pub alignment: f64,
    /// ln E exp(-2‖u - v‖²) over first views (Wang & Isola 2020, eq. 4, t = 2): 0 is collapsed, -4 well spread.
    pub uniformity: f64,
    /// Mean over dimensions of the unit vectors' standard deviation, times √D: 1 is spread out, 0 collapsed.
    pub std: f64,
}

impl Geometry {
    pub fn of(z: &Tensor) -> Self {
        tch::no_grad(|| {
            let z = unit(&z.to_kind(Kind::Float));
            let (rows, dims) = (z.size()[0], z.size()[1]);
            let (n, options) = (rows / 2, (Kind::Int64, z.device()));
            let nearest = z.matmul(&z.tr()).masked_fill(&diagonal(&z), f64::NEG_INFINITY).argmax(1, false);
            let expected = Tensor::arange(rows, options).roll([n], [0]);
            let first = z.narrow(0, 0, n);
            let squared_distances: Tensor = 2.0 - first.matmul(&first.tr()) * 2.0;
            let others = squared_distances.masked_select(&diagonal(&first).logical_not());
            let number = |t: Tensor| t.double_value(&[]);
            Self {
                accuracy: number(nearest.eq_tensor(&expected).to_kind(Kind::Float).mean(None)),
                alignment: number((&z - partners(&z)).square().sum_dim_intlist(1, false, None).mean(None)),
                uniformity: number((others * -2.0).exp().mean(None).log()),
                std: number(z.std_dim([0i64].as_slice(), false, false).mean(None)) * (dims as f64).sqrt(),
            }
        })
    }
}

/// Rows scaled to the unit sphere.
fn unit(z: &Tensor) -> Tensor {
    let norm = z.norm_scalaropt_dim(2.0, [1i64], true);
    z / norm.clamp_min(1e-12)
}

/// The other view of each row: the halves swapped.
fn partners(z: &Tensor) -> Tensor {
    z.roll([z.size()[0] / 2], [0])
}

/// `[rows, rows]`, true on the diagonal.
fn diagonal(z: &Tensor) -> Tensor {
    Tensor::eye(z.size()[0], (Kind::Bool, z.device()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Device;

    fn random(rows: i64, dims: i64) -> Tensor {
        tch::manual_seed(5);
        Tensor::randn([rows, dims], (Kind::Double, Device::Cpu))
    }

    /// Eq. (1) as three loops.
    fn brute_force(z: &Tensor, temperature: f64, self_term: bool) -> f64 {
        let rows: Vec<Vec<f64>> = Vec::try_from(z).unwrap();
        let cosine = |a: &[f64], b: &[f64]| {
            let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
            dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
        };
        let (count, n) = (rows.len(), rows.len() / 2);
        let mut total = 0.0;
        for i in 0..count {
            let mut denominator = 0.0;
            for k in 0..count {
                if self_term || k != i {
                    denominator += (cosine(&rows[i], &rows[k]) / temperature).exp();
                }
            }
            total -= ((cosine(&rows[i], &rows[(i + n) % count]) / temperature).exp() / denominator).ln();
        }
        total / count as f64
    }

    #[test]
    fn nt_xent_is_equation_1() {
        let z = random(14, 6);
        for (temperature, self_term) in [(0.5, false), (0.5, true), (0.07, false)] {
            let loss = nt_xent(&z, temperature, self_term).double_value(&[]);
            assert!((loss - brute_force(&z, temperature, self_term)).abs() < 1e-9);
        }
    }

    #[test]
    fn random_vectors_in_many_dimensions_give_the_logarithm_of_the_candidates() {
        let loss = nt_xent(&random(256, 20_000), 0.5, false).double_value(&[]);
        assert!((loss - 255f64.ln()).abs() < 0.01, "{loss}");
    }

    #[test]
    fn gradient_is_that_of_finite_differences() {
        let z = random(8, 5);
        let leaf = z.copy().set_requires_grad(true);
        let gradient = Tensor::run_backward(&[nt_xent(&leaf, 0.5, false)], &[&leaf], false, false).remove(0);
        let h = 1e-5;
        for index in 0..z.numel() as i64 {
            let moved = |by: f64| {
                let moved = z.copy();
                let _ = moved.view(-1).get(index).g_add_scalar_(by);
                nt_xent(&moved, 0.5, false).double_value(&[])
            };
            let slope = (moved(h) - moved(-h)) / (2.0 * h);
            assert!((gradient.view(-1).double_value(&[index]) - slope).abs() < 1e-8);
        }
    }

    #[test]
    fn geometry_tells_aligned_from_collapsed() {
        let half = random(64, 16);
        let aligned = Geometry::of(&Tensor::cat(&[&half, &half], 0));
        assert!(aligned.alignment < 1e-6 && aligned.accuracy == 1.0 && aligned.std > 0.8, "{aligned:?}");
        let collapsed = Geometry::of(&(random(128, 16) * 1e-4 + 1.0));
        assert!(collapsed.std < 1e-2 && collapsed.uniformity > -1e-2, "{collapsed:?}");
    }
}
