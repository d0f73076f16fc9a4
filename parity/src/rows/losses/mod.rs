//! Rows 3 and 4: the losses and penalties of eqs. (1) to (5) and their derivatives, as training takes them, against a
//! separate implementation in PyTorch in double precision.

mod gang;
mod smooth;

use anyhow::Result;
use serde_json::{Value, json};
use tandem_collective::ProcessGroup;
use tandem_domain::spec::{Direction, PenaltyScaling};
use tandem_learn::nt_xent::nt_xent;
use tandem_learn::objective::{FiniteDifference, LossTerm, Objective, Views};
use tandem_learn::penalty::coefficient;
use tandem_learn::shards::{Shards, Step, step};
use tch::{Device, Kind, Tensor};

use crate::args::Part;
use crate::environment::{Environment, SEED};
use crate::exchange::{Exchange, Tensors, largest_difference, nan_max, relative_difference};
use crate::peer::Peer;
use crate::row::{Bound, Row, Unit};
use gang::together;
use smooth::{IMAGE, Smooth};

/// Images of a batch, of two views each.
const BATCH: i64 = 32;
const OUTPUTS: i64 = 6;
const TEMPERATURE: f64 = 0.5;
const LAMBDA: f64 = 3.0;
/// Of eqs. (4) and (5), first stage to last.
const ALPHA: [f64; 4] = [0.05, 0.1, 0.3, 1.0];
const BETA: [f64; 4] = [0.1, 0.4, 0.9, 1.6];
/// (shards, ranks)
const GANGS: [(u32, u32); 5] = [(1, 1), (2, 1), (2, 2), (4, 1), (4, 2)];
const TOLERANCE: Bound = Bound::AtMost(1e-9);

/// What is minimised, by the equation's name.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Equation {
    One { self_term: bool },
    Two,
    Three,
    Four,
    Five,
}

impl Equation {
    /// As the peer knows it.
    fn name(self) -> &'static str {
        match self {
            Self::One { self_term: false } => "eq1",
            Self::One { self_term: true } => "eq1 as printed",
            Self::Two => "eq2",
            Self::Three => "eq3",
            Self::Four => "eq4",
            Self::Five => "eq5",
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::One { self_term: false } => "eq. (1), SimCLR's denominator",
            Self::One { self_term: true } => "eq. (1), denominator as printed",
            Self::Two => "eq. (2), classifier and penalty",
            Self::Three => "eq. (3), NT-Xent and penalty",
            Self::Four => "eq. (4), layer by layer",
            Self::Five => "eq. (5), layer by layer and penalties",
        }
    }

    fn views(self) -> Views {
        if self == Self::Two { Views::One } else { Views::Two }
    }

    fn network(self) -> Smooth {
        Smooth::new(OUTPUTS, matches!(self, Self::Four | Self::Five))
    }

    fn terms(self) -> Vec<LossTerm> {
        let scaled = |scaling| coefficient(LAMBDA, Some(scaling), self.views(), BATCH as u32);
        let term = |weight, penalty| LossTerm { weight, penalty, reach: None };
        match self {
            Self::One { .. } => vec![term(1.0, 0.0)],
            Self::Two => vec![term(1.0, scaled(PenaltyScaling::PerSample))],
            Self::Three => vec![term(1.0, scaled(PenaltyScaling::BatchSum))],
            Self::Four => ALPHA.map(|alpha| term(alpha, 0.0)).into(),
            // R_k is half the sum of squares over rows.
            Self::Five => ALPHA.iter().zip(BETA).map(|(&alpha, beta)| term(alpha, beta / 2.0)).collect(),
        }
    }
}

/// The batch of all comparisons.
struct Inputs {
    /// f64 `[2, BATCH, 3, 4, 4]`
    views: Tensor,
    labels: Tensor,
}

impl Inputs {
    fn draw() -> Self {
        tch::manual_seed(SEED as i64 + 1);
        let shape = [vec![2, BATCH], IMAGE.to_vec()].concat();
        Self {
            views: Tensor::rand(shape, (Kind::Double, Device::Cpu)),
            labels: Tensor::randint(OUTPUTS, [BATCH], (Kind::Int64, Device::Cpu)),
        }
    }

    fn step(
        &self,
        equation: Equation,
        finite_difference: Option<FiniteDifference>,
        gang: (u32, u32),
        global: bool,
    ) -> Result<Step> {
        let ((shards, ranks), mut network) = (gang, equation.network());
        network.global = global;
        let rank = |_| {
            let (own, views, labels) = (network.copy(), self.views.copy(), self.labels.copy());
            move |group: &ProcessGroup| {
                let loss = |rows: &Tensor| match equation {
                    Equation::Two => rows.log_softmax(1, Kind::Double).nll_loss(&labels),
                    _ => nt_xent(rows, TEMPERATURE, equation == Equation::One { self_term: true }),
                };
                let views = views.narrow(0, 0, equation.views().count());
                let size = BATCH / i64::from(shards);
                let part = |shard| views.narrow(1, i64::from(shard) * size, size).flatten(0, 1).copy();
                let objective =
                    Objective { terms: equation.terms(), finite_difference, ..Objective::new(equation.views(), &loss) };
                let cut = Shards::new(shards, BATCH as u32, group)?;
                Ok(step(&own, group, &cut, part, &objective, false)?)
            }
        };
        together((0..ranks).map(rank).collect())
    }
}

pub(crate) fn derivatives(env: &Environment) -> Result<Vec<Row>> {
    let mut peer = Peer::start(&env.python, "losses")?;
    let mut rows = by_projections(env, &mut peer)?;
    let inputs = Inputs::draw();
    for equation in [
        Equation::One { self_term: false },
        Equation::One { self_term: true },
        Equation::Two,
        Equation::Three,
        Equation::Four,
        Equation::Five,
    ] {
        let (mut worst, mut each) = ([0.0f64; 3], Vec::new());
        for (gang, global) in GANGS.into_iter().flat_map(|gang| [(gang, false), (gang, true)]) {
            let step = inputs.step(equation, None, gang, global)?;
            // BatchNorm over all shards is that of one shard which is the batch.
            let shards = if global { 1 } else { gang.0 };
            let theirs = theirs(env, Part::Losses, &mut peer, &inputs, equation, shards)?;
            let scalar = |name| Ok::<f64, anyhow::Error>(theirs.get(name)?.double_value(&[]));
            let found = [
                (step.loss - scalar("loss")?).abs(),
                (step.penalty - scalar("penalty")?).abs(),
                largest_difference(&step.gradient, theirs.get("gradient")?)?
                    .max(largest_difference(&step.statistics, theirs.get("statistics")?)?),
            ];
            worst = std::array::from_fn(|i| nan_max(worst[i], found[i]));
            if each.is_empty() {
                each = vec![step.loss, step.penalty, step.gradient.abs().max().double_value(&[])];
            }
        }
        let figure = worst.into_iter().fold(0.0, nan_max);
        let note = format!(
            "loss {:.3}: {:.0e}, penalty {:.3}: {:.0e}, weight gradients up to {:.2}: {:.0e}; shards x ranks 1x1, 2x1, 2x2, 4x1, 4x2, \
             BatchNorm by the shard and global",
            each[0], worst[0], each[1], worst[1], each[2], worst[2]
        );
        rows.push(Row::new(3, format!("{}: a training step", equation.title()), figure, TOLERANCE, Unit::Plain, note));
    }
    Ok(rows)
}

/// The peer's step.
fn theirs(
    env: &Environment,
    part: Part,
    peer: &mut Peer,
    inputs: &Inputs,
    equation: Equation,
    shards: u32,
) -> Result<Tensors> {
    let network = equation.network();
    let exchange = Exchange::new()?;
    let views = match part {
        _ if !env.breaks(part) => inputs.views.shallow_clone(),
        Part::Losses => &inputs.views * 1.001,
        // Scaling would not change a cosine.
        _ => inputs.views.flip([-1]),
    };
    exchange.write("batch", &[("views", &views), ("labels", &inputs.labels)])?;
    exchange.write("network", &network.named())?;
    let _: Value = peer.ask(&json!({
        "what": "step", "folder": exchange.folder(), "equation": equation.name(), "shards": shards,
        "temperature": TEMPERATURE, "lambda": LAMBDA, "alpha": ALPHA, "beta": BETA, "layout": network.layout(),
    }))?;
    exchange.read("step")
}

/// NT-Xent as a function of projections: value, gradient and all second derivatives.
fn by_projections(env: &Environment, peer: &mut Peer) -> Result<Vec<Row>> {
    tch::manual_seed(SEED as i64);
    let z = Tensor::randn([14, 5], (Kind::Double, Device::Cpu));
    let mut rows = Vec::new();
    for (self_term, title) in [(false, "NT-Xent, SimCLR's denominator"), (true, "NT-Xent, denominator as printed")] {
        let mut worst = [0.0f64; 3];
        for temperature in [0.1, 0.5, 1.0] {
            let leaf = z.copy().set_requires_grad(true);
            let loss = nt_xent(&leaf, temperature, self_term);
            let gradient = Tensor::run_backward(&[&loss], &[&leaf], true, true).remove(0);
            let second: Vec<Tensor> = (0..z.numel() as i64)
                .map(|i| Tensor::run_backward(&[gradient.view(-1).get(i)], &[&leaf], true, false).remove(0).view(-1))
                .collect();
            let exchange = Exchange::new()?;
            let shown = if env.breaks(Part::Losses) { &z + 1e-4 } else { z.shallow_clone() };
            exchange.write("projections", &[("z", &shown)])?;
            let _: Value = peer.ask(&json!({
                "what": "nt_xent", "folder": exchange.folder(), "temperature": temperature, "self_term": self_term,
            }))?;
            let theirs = exchange.read("derivatives")?;
            let ours = [loss.view(1), gradient.detach(), Tensor::stack(&second, 0)];
            for ((worst, ours), name) in worst.iter_mut().zip(&ours).zip(["loss", "gradient", "second"]) {
                *worst = nan_max(*worst, largest_difference(ours, theirs.get(name)?)?);
            }
        }
        let figure = worst.into_iter().fold(0.0, nan_max);
        let note = format!(
            "value {:.0e}, first derivatives {:.0e}, second derivatives {:.0e}; temperatures 0.1, 0.5, 1",
            worst[0], worst[1], worst[2]
        );
        rows.push(Row::new(3, title, figure, TOLERANCE, Unit::Plain, note));
    }
    Ok(rows)
}

/// Row 4: the finite difference against the peer's exact penalty, as h falls.
pub(crate) fn finite_difference(env: &Environment) -> Result<Vec<Row>> {
    let mut peer = Peer::start(&env.python, "losses")?;
    let inputs = Inputs::draw();
    let gang = (2, 1);
    let mut rows = Vec::new();
    for equation in [Equation::Two, Equation::Three, Equation::Five] {
        let their = theirs(env, Part::FiniteDifference, &mut peer, &inputs, equation, gang.0)?;
        // The gradient of the penalty alone.
        let exact = their.get("gradient")? - their.get("loss gradient")?;
        let found = [1e-2, 1e-3, 1e-4, 1e-5].map(|h| -> Result<(f64, f64)> {
            let step = inputs.step(equation, Some(FiniteDifference { h, direction: Direction::L2 }), gang, false)?;
            let gradient = step.gradient - their.get("loss gradient")?;
            Ok((relative_difference(&gradient, &exact)?, cosine(&gradient, &exact)))
        });
        let (errors, cosines): (Vec<f64>, Vec<f64>) =
            found.into_iter().collect::<Result<Vec<_>>>()?.into_iter().unzip();
        let title = equation.title();
        let shown = errors.iter().map(|error| format!("{error:.0e}")).collect::<Vec<_>>().join(", ");
        let note = format!("relative error of the penalty's weight gradient at h = 1e-2, 1e-3, 1e-4, 1e-5: {shown}");
        let (what, last) = (format!("{title}: by differences, h = 1e-5"), errors[errors.len() - 1]);
        rows.push(Row::new(4, what, last, Bound::AtMost(1e-3), Unit::Plain, note));
        // Forward differences err by a multiple of h: a tenth of h, a tenth of the error.
        let falls = errors.windows(2).map(|pair| pair[1] / pair[0]).fold(0.0, f64::max);
        let what = format!("{title}: of the error, what a tenth of h leaves");
        rows.push(Row::new(4, what, falls, Bound::AtMost(0.2), Unit::Plain, "the most of three"));
        let what = format!("{title}: cosine at h = 1e-2");
        let note = "of the penalty's weight gradient, on a smooth net, with the exact one";
        rows.push(Row::new(4, what, cosines[0], Bound::AtLeast(0.99), Unit::Plain, note));
    }
    Ok(rows)
}

fn cosine(a: &Tensor, b: &Tensor) -> f64 {
    let dot = |a: &Tensor, b: &Tensor| (a * b).sum(Kind::Double).double_value(&[]);
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}
