//! Row 5: the proximal operators against the definition, minimised by brute force.

use anyhow::Result;
use serde::Deserialize;
use serde_json::json;
use tandem_domain::spec::Norm;
use tandem_learn::attack::prox::prox;
use tch::{Device, Kind, Tensor};

use crate::args::Part;
use crate::environment::{Environment, SEED};
use crate::exchange::Exchange;
use crate::peer::Peer;
use crate::row::{Bound, Row, Unit};

/// Points of each norm and dimension, each with each weight.
const POINTS: i64 = 12;
/// From far inside the threshold (the result is 0) to far outside (the result is nearly the point).
const WEIGHTS: [f64; 5] = [0.01, 0.1, 0.4, 1.0, 2.5];

#[derive(Deserialize)]
struct ProxReply {
    /// By how much brute force was lower than ours, at most; negative if it never was.
    better: f64,
    /// Largest distance of the two points.
    apart: f64,
    /// Number of rows whose result is 0, the point itself, anything else.
    zero: u32,
    whole: u32,
    between: u32,
}

pub(crate) fn compare(env: &Environment) -> Result<Vec<Row>> {
    let mut peer = Peer::start(&env.python, "prox")?;
    let mut rows = Vec::new();
    for (norm, name) in [(Norm::L0, "l0"), (Norm::L1, "l1"), (Norm::L2, "l2"), (Norm::Linf, "linf")] {
        for dimensions in [2, 3] {
            tch::manual_seed(SEED as i64 + dimensions);
            let points = Tensor::rand([POINTS, dimensions], (Kind::Double, Device::Cpu)) * 3.0 - 1.5;
            let weights = Tensor::from_slice(&WEIGHTS);
            // Each point with each weight; the first with equal magnitudes, the second with a zero.
            let _ = points.get(0).fill_(0.8);
            let _ = points.get(1).narrow(0, 0, 1).fill_(0.0);
            let s = points.repeat_interleave_self_int(WEIGHTS.len() as i64, 0, None);
            let mu = weights.repeat([POINTS]).view([-1, 1]);
            let w = prox(norm, &s, &mu);
            let exchange = Exchange::new()?;
            let shown = if env.breaks(Part::Prox) { &mu * 1.5 } else { mu };
            exchange.write("prox", &[("s", &s), ("mu", &shown), ("w", &w)])?;
            let reply: ProxReply = peer.ask(&json!({ "folder": exchange.folder(), "norm": name }))?;
            let what = format!("prox of {name} in {dimensions} dimensions");
            let note = format!(
                "mu |w| + 1/2 |w - s|^2 of ours less brute force's; {} results are 0, {} all of s, {} between",
                reply.zero, reply.whole, reply.between
            );
            rows.push(Row::new(5, format!("{what}: objective"), reply.better, Bound::AtMost(1e-9), Unit::Plain, note));
            rows.push(Row::new(5, format!("{what}: point"), reply.apart, Bound::AtMost(1e-3), Unit::Plain, ""));
        }
    }
    Ok(rows)
}
