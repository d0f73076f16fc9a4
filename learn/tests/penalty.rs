//! The penalties of eqs. (2), (3) and (5) inside the sharded step, in double precision, against autograd over the whole
//! batch and against central differences.
#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod smooth;

use smooth::{SHARDS, Smooth, alone, error, flat, images, ranks, whole};
use tandem_collective::ProcessGroup;
use tandem_domain::spec::{Direction, PenaltyMethod, PenaltyScaling, Recompute, Tikhonov};
use tandem_learn::nt_xent::nt_xent;
use tandem_learn::objective::{LossTerm, Objective, Views};
use tandem_learn::penalty::tikhonov;
use tandem_learn::shards::{Shards, penalty_cosine};
use tch::{Device, Kind, Tensor};

/// Against autograd, relative to the largest element.
const AUTOGRAD: f64 = 1e-9;
/// Against central differences of step 1e-6.
const DIFFERENCES: f64 = 1e-6;
const LAMBDA: f64 = 3.0;
/// Of each shard.
const ROWS: i64 = 6;
const SCALINGS: [PenaltyScaling; 3] = [PenaltyScaling::PerSample, PenaltyScaling::BatchSum, PenaltyScaling::PaperCode];

fn contrastive(rows: &Tensor) -> Tensor {
    nt_xent(rows, 0.5, false)
}

/// Cross-entropy of row i with the class i mod 5; the mean.
fn classifier(rows: &Tensor) -> Tensor {
    cross_entropies(rows).mean(None::<Kind>)
}

fn cross_entropies(rows: &Tensor) -> Tensor {
    let labels = Tensor::arange(rows.size()[0], (Kind::Int64, Device::Cpu)).remainder(5);
    -rows.log_softmax(1, None::<Kind>).gather(1, &labels.unsqueeze(1), false).squeeze_dim(1)
}

fn loss(views: Views) -> &'static dyn Fn(&Tensor) -> Tensor {
    match views {
        Views::One => &classifier,
        Views::Two => &contrastive,
    }
}

fn spec(method: PenaltyMethod, scaling: Option<PenaltyScaling>) -> Tikhonov {
    Tikhonov { lambda: LAMBDA, method, scaling, ..Tikhonov::default() }
}

fn objective(views: Views, spec: &Tikhonov) -> Objective<'static> {
    let images = (i64::from(SHARDS) * ROWS / views.count()) as u32;
    Objective::new(views, loss(views)).tikhonov(spec, images)
}

/// ‖gradient‖² by the images, as the formulas of the paper divide it; `squares` is the sum over rows for the mean loss.
fn scaled(squares: Tensor, scaling: PenaltyScaling, views: Views) -> Tensor {
    let rows = (i64::from(SHARDS) * ROWS) as f64;
    LAMBDA / 2.0
        * match (scaling, views) {
            // (1/M) sum of ‖M g‖².
            (PenaltyScaling::PerSample, _) => squares * (rows * rows) / rows,
            (_, Views::Two) => squares / 2.0,
            (PenaltyScaling::BatchSum, Views::One) => squares,
            (PenaltyScaling::PaperCode, Views::One) => squares / rows,
        }
}

/// Penalty and gradient of loss + penalty, by one double backward pass over the whole batch.
fn textbook(network: &Smooth, views: Views, scaling: PenaltyScaling) -> (Tensor, Tensor, Tensor) {
    let (inputs, rows) = whole(network, ROWS, views);
    let loss = loss(views)(&rows[0]);
    let gradients = Tensor::run_backward(&[&loss], &inputs, true, true);
    let penalty = scaled(gradients.iter().map(|g| g.square().sum(None::<Kind>)).sum(), scaling, views);
    let by_weights = Tensor::run_backward(&[&loss + &penalty], network.parameters.views(), false, false);
    (loss, penalty, flat(network, &by_weights))
}

#[test]
fn exact_is_the_double_backward_pass_over_the_whole_batch() {
    for views in [Views::One, Views::Two] {
        for normed in [false, true] {
            for scaling in SCALINGS {
                let network = Smooth::new(normed, false);
                let (loss, penalty, gradient) = textbook(&network, views, scaling);
                let step = alone(&network, ROWS, &objective(views, &spec(PenaltyMethod::Exact, Some(scaling))));
                let case = format!("{views:?} {scaling:?} normed: {normed}");
                assert!((step.loss - loss.double_value(&[])).abs() < AUTOGRAD, "{case}");
                assert!((step.penalty / penalty.double_value(&[]) - 1.0).abs() < AUTOGRAD, "{case}");
                assert!(error(&step.gradient, &gradient) < AUTOGRAD, "{case}: {}", error(&step.gradient, &gradient));
            }
        }
    }
}

/// Eq. (2) as it is written: each image by itself, its own loss, its own gradient.
#[test]
fn equation_2_is_the_mean_over_images_of_each_ones_own_gradient() {
    let network = Smooth::new(false, false);
    let (inputs, rows) = whole(&network, ROWS, Views::One);
    let losses = cross_entropies(&rows[0]);
    let mut squares = 0.0;
    for i in 0..losses.size()[0] {
        let own = &inputs[(i / ROWS) as usize];
        let gradient = Tensor::run_backward(&[losses.get(i)], &[own], true, false).remove(0);
        squares += gradient.get(i % ROWS).square().sum(Kind::Double).double_value(&[]);
    }
    let expected = LAMBDA / 2.0 * squares / losses.size()[0] as f64;
    let step = alone(&network, ROWS, &objective(Views::One, &spec(PenaltyMethod::Exact, None)));
    assert!((step.penalty / expected - 1.0).abs() < AUTOGRAD);
}

#[test]
fn the_gradient_is_that_of_central_differences_of_the_penalised_loss() {
    let h = 1e-6;
    for views in [Views::One, Views::Two] {
        for normed in [false, true] {
            let spec = spec(PenaltyMethod::Exact, None);
            let value = |moved: f64, direction: &Tensor| {
                let network = Smooth::new(normed, false);
                let _ = tch::no_grad(|| network.parameters.vector().shallow_clone().g_add_(&(direction * moved)));
                let step = alone(&network, ROWS, &objective(views, &spec));
                step.loss + step.penalty
            };
            let network = Smooth::new(normed, false);
            let gradient = alone(&network, ROWS, &objective(views, &spec)).gradient;
            for seed in 0..5 {
                tch::manual_seed(seed);
                let direction = gradient.randn_like();
                let slope = (value(h, &direction) - value(-h, &direction)) / (2.0 * h);
                let expected = (&gradient * &direction).sum(Kind::Double).double_value(&[]);
                assert!((slope - expected).abs() < DIFFERENCES * slope.abs().max(1.0), "{slope} {expected}");
            }
        }
    }
}

#[test]
fn without_a_graph_the_penalty_would_have_no_effect() {
    let network = Smooth::new(true, false);
    let plain = alone(&network, ROWS, &Objective::new(Views::Two, &contrastive)).gradient;
    for method in [PenaltyMethod::Exact, PenaltyMethod::FiniteDifference] {
        let with = alone(&network, ROWS, &objective(Views::Two, &spec(method, None)));
        assert!(error(&with.gradient, &plain) > 1e-2 && with.penalty > 0.0, "{method:?}");
    }
}

#[test]
fn the_finite_difference_goes_to_the_exact_gradient() {
    for views in [Views::One, Views::Two] {
        let network = Smooth::new(true, false);
        let plain = alone(&network, ROWS, &Objective::new(views, loss(views))).gradient;
        let penalty_of = |spec: &Tikhonov| {
            let step = alone(&network, ROWS, &objective(views, spec));
            (step.penalty, step.gradient - &plain)
        };
        let (exact_value, exact) = penalty_of(&spec(PenaltyMethod::Exact, None));
        let errors: Vec<f64> = [1e-2, 1e-3, 1e-4]
            .map(|h| {
                let (value, found) = penalty_of(&Tikhonov { h, ..spec(PenaltyMethod::FiniteDifference, None) });
                assert!((value / exact_value - 1.0).abs() < AUTOGRAD);
                let cosine = (&found * &exact).sum(Kind::Double) / (found.norm() * exact.norm());
                let cosine = cosine.double_value(&[]);
                assert!(cosine > 0.99, "{views:?} {h}: {cosine}");
                error(&found, &exact)
            })
            .into();
        // Of first order in h.
        assert!(errors[1] < errors[0] / 8.0 && errors[2] < errors[1] / 8.0, "{views:?} {errors:?}");
    }
}

/// <g_j, v_j>² of each group, v_j held fixed, by a double backward pass: what the finite difference goes to.
fn directed(network: &Smooth, views: Views, direction: Direction) -> (f64, Tensor) {
    let (inputs, rows) = whole(network, ROWS, views);
    let loss = loss(views)(&rows[0]);
    let gradients = Tensor::cat(&Tensor::run_backward(&[&loss], &inputs, true, true), 0);
    let groups = match views {
        Views::One => gradients.flatten(1, -1),
        Views::Two => gradients.view([1, -1]),
    };
    let fixed = groups.detach();
    let along = match direction {
        Direction::L2 => &fixed / fixed.norm_scalaropt_dim(2.0, [1i64], true),
        Direction::L1 => fixed.sign() / (fixed.size()[1] as f64).sqrt(),
        Direction::Linf => fixed.sign() * fixed.abs().eq_tensor(&fixed.abs().amax([1i64].as_slice(), true)),
    };
    let squares = (groups * along).sum_dim_intlist([1i64].as_slice(), false, None::<Kind>).square().sum(None::<Kind>);
    let penalty = scaled(squares, PenaltyScaling::BatchSum, views);
    let by_weights = Tensor::run_backward(&[&penalty], network.parameters.views(), false, false);
    (penalty.double_value(&[]), flat(network, &by_weights))
}

#[test]
fn directions_measure_the_norms_that_they_are_named_after() {
    for views in [Views::One, Views::Two] {
        for direction in [Direction::L2, Direction::L1, Direction::Linf] {
            let network = Smooth::new(true, false);
            let plain = alone(&network, ROWS, &Objective::new(views, loss(views))).gradient;
            let (value, gradient) = directed(&network, views, direction);
            let spec = Tikhonov {
                h: 1e-6,
                direction,
                ..spec(PenaltyMethod::FiniteDifference, Some(PenaltyScaling::BatchSum))
            };
            let step = alone(&network, ROWS, &objective(views, &spec));
            let found = error(&(step.gradient - plain), &gradient);
            assert!((step.penalty / value - 1.0).abs() < AUTOGRAD, "{views:?} {direction:?}");
            assert!(found < 1e-4, "{views:?} {direction:?}: {found}");
        }
    }
}

/// Twice the same batch: eq. (2) stays, the batch's sum halves, the paper's code has a quarter of eq. (2)'s 1/N².
#[test]
fn a_batch_repeated_twice() {
    let network = Smooth::new(false, false);
    let penalty = |scaling, repeated: bool| {
        let rows = if repeated { 2 * ROWS } else { ROWS };
        let batch = (i64::from(SHARDS) * rows) as u32;
        let loss = move |rows: &Tensor| {
            let labels = Tensor::arange(ROWS, (Kind::Int64, Device::Cpu)).remainder(5);
            let labels = labels.repeat([rows.size()[0] / ROWS]);
            let chosen = rows.log_softmax(1, None::<Kind>).gather(1, &labels.unsqueeze(1), false);
            -chosen.mean(None::<Kind>)
        };
        let objective = Objective::new(Views::One, &loss).tikhonov(&spec(PenaltyMethod::Exact, Some(scaling)), batch);
        let shards = tandem_learn::shards::Shards { count: SHARDS, rank: 0, world_size: 1 };
        let images = |shard| {
            let images = smooth::images(shard, ROWS);
            if repeated { Tensor::cat(&[&images, &images], 0) } else { images }
        };
        let group = tandem_collective::ProcessGroup::alone();
        tandem_learn::shards::step(&network, &group, &shards, images, &objective, false).unwrap().penalty
    };
    for (scaling, share) in SCALINGS.into_iter().zip([1.0, 0.5, 0.25]) {
        assert!((penalty(scaling, true) / penalty(scaling, false) - share).abs() < AUTOGRAD, "{scaling:?}");
    }
}

const ALPHAS: [f64; 2] = [0.3, 1.0];
const BETAS: [f64; 2] = [0.7, 2.0];

/// Of the layered network, eq. (5); each head's reach by names of its own.
fn layered(reach: [Option<Vec<usize>>; 2], method: PenaltyMethod) -> Objective<'static> {
    let terms = reach.into_iter().enumerate();
    let terms = terms.map(|(k, reach)| LossTerm { weight: ALPHAS[k], penalty: BETAS[k] / 2.0, reach }).collect();
    let h = Tikhonov { h: 1e-7, ..spec(method, None) };
    Objective { terms, ..Objective::new(Views::Two, &contrastive) }.differentiated(&h)
}

#[test]
fn equations_4_and_5_are_sums_over_layers() {
    let network = Smooth::new(true, true);
    let (inputs, rows) = whole(&network, ROWS, Views::Two);
    let losses: Vec<Tensor> = rows.iter().map(contrastive).collect();
    let penalties: Vec<Tensor> = losses
        .iter()
        .map(|loss| {
            let gradients = Tensor::run_backward(&[loss], &inputs, true, true);
            gradients.iter().map(|g| tikhonov(g, 0.5)).sum()
        })
        .collect();
    let weighted =
        |values: &[Tensor], weights: [f64; 2]| values.iter().zip(weights).map(|(x, w)| x * w).sum::<Tensor>();
    let (loss, penalty) = (weighted(&losses, ALPHAS), weighted(&penalties, BETAS));
    let expected = Tensor::run_backward(&[&loss + &penalty], network.parameters.views(), true, false);
    // Apart: what each layer says moves its own weights, here (a, head_a) and (b, head_b).
    let apart: Vec<Tensor> = (0..2)
        .flat_map(|k| {
            let own = &losses[k] * ALPHAS[k] + &penalties[k] * BETAS[k];
            Tensor::run_backward(&[own], &network.parameters.views()[2 * k..][..2], true, false)
        })
        .collect();

    for (method, tolerance) in [(PenaltyMethod::Exact, AUTOGRAD), (PenaltyMethod::FiniteDifference, 1e-5)] {
        let step = alone(&network, ROWS, &layered([None, None], method));
        assert!((step.loss - loss.double_value(&[])).abs() < AUTOGRAD);
        assert!((step.penalty / penalty.double_value(&[]) - 1.0).abs() < AUTOGRAD);
        assert!((step.losses[0] - losses[0].double_value(&[])).abs() < AUTOGRAD);
        assert!(error(&step.gradient, &flat(&network, &expected)) < tolerance, "{method:?}");

        let step = alone(&network, ROWS, &layered([Some(vec![0, 1]), Some(vec![2, 3])], method));
        assert!(error(&step.gradient, &flat(&network, &apart)) < tolerance, "{method:?} apart");
    }
}

#[test]
fn bits_depend_on_shards_never_on_ranks_nor_on_what_is_computed_twice() {
    for method in [PenaltyMethod::Exact, PenaltyMethod::FiniteDifference] {
        for recompute in [Recompute::None, Recompute::Shards] {
            let objective = || Objective { recompute, ..layered([Some(vec![0, 1]), Some(vec![0, 2, 3])], method) };
            let taken = [1, 2, 4].map(|world_size| ranks(|| Smooth::new(true, true), world_size, ROWS, objective));
            let kept = alone(&Smooth::new(true, true), ROWS, &layered([Some(vec![0, 1]), Some(vec![0, 2, 3])], method));
            for step in &taken {
                assert!(step.gradient.equal(&kept.gradient) && step.statistics.equal(&kept.statistics), "{method:?}");
                assert_eq!(
                    (step.loss.to_bits(), step.penalty.to_bits()),
                    (kept.loss.to_bits(), kept.penalty.to_bits())
                );
            }
        }
    }
}

#[test]
fn running_statistics_move_once_whatever_the_penalty_computes() {
    let network = Smooth::new(true, false);
    let plain = alone(&network, ROWS, &Objective::new(Views::Two, &contrastive)).statistics;
    assert!(!plain.equal(network.statistics.vector()));
    for method in [PenaltyMethod::Exact, PenaltyMethod::FiniteDifference] {
        for recompute in [Recompute::None, Recompute::Shards] {
            let objective = Objective { recompute, ..objective(Views::Two, &spec(method, None)) };
            assert!(alone(&network, ROWS, &objective).statistics.equal(&plain), "{method:?} {recompute:?}");
        }
    }
}

fn penalty_cosine_of(network: &Smooth, objective: &Objective<'_>) -> Option<f64> {
    let shards = Shards { count: SHARDS, rank: 0, world_size: 1 };
    penalty_cosine(network, &ProcessGroup::alone(), &shards, |shard| images(shard, ROWS), objective).unwrap()
}

/// By the step itself: the gradient without the penalty is taken off both.
#[test]
fn the_cosine_of_both_methods_is_that_of_their_gradients() {
    let cosine = |a: &Tensor, b: &Tensor| (a.dot(b) / (a.norm() * b.norm())).double_value(&[]);
    for views in [Views::One, Views::Two] {
        let network = Smooth::new(true, false);
        let plain = alone(&network, ROWS, &Objective::new(views, loss(views))).gradient;
        let own = |spec: &Tikhonov| alone(&network, ROWS, &objective(views, spec)).gradient - &plain;
        let exact = spec(PenaltyMethod::Exact, None);
        // A step that is long for this network, so that the two differ.
        let difference = Tikhonov { h: 2.0, ..spec(PenaltyMethod::FiniteDifference, None) };
        let expected = cosine(&own(&difference), &own(&exact));
        let found = penalty_cosine_of(&network, &objective(views, &difference)).unwrap();
        assert!((found - expected).abs() < 1e-9 && found < 0.999, "{views:?}: {found}, expected {expected}");
        let short = objective(views, &Tikhonov { h: 1e-4, ..difference });
        assert!(penalty_cosine_of(&network, &short).unwrap() > 0.999_99, "{views:?}");
        assert_eq!(penalty_cosine_of(&network, &objective(views, &exact)), None);
        assert_eq!(penalty_cosine_of(&network, &objective(views, &Tikhonov { lambda: 0.0, ..difference })), None);
    }
}
