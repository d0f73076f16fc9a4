//! The peers: a Python process that attacks one classifier by Foolbox and Torchattacks.

use anyhow::Result;
use serde::Deserialize;
use serde_json::{Value, json};
use tch::{Kind, Tensor};

use super::subject::Trained;
use crate::args::Part;
use crate::environment::{Environment, SEED};
use crate::exchange::Exchange;
use crate::peer::Peer;

#[derive(Deserialize)]
struct BeginReply {
    accuracy: f64,
}

#[derive(Deserialize)]
struct AttackReply {
    version: String,
}

/// Foolbox and Torchattacks, with one classifier and one set of images.
pub(super) struct Peers {
    peer: Peer,
    exchange: Exchange,
    /// Of the radii that they are given; not 1 where the part is to fail.
    pub(super) radius_factor: f64,
    /// Their accuracy on the images.
    pub(super) accuracy: f64,
}

impl Peers {
    pub(super) fn begin(env: &Environment, trained: &Trained, images: &Tensor, labels: &Tensor) -> Result<Self> {
        let exchange = Exchange::new()?;
        exchange.write("images", &[("images", images), ("labels", labels)])?;
        let mut peer = Peer::start(&env.python, "attacks")?;
        let request = json!({ "what": "begin", "folder": exchange.folder(), "path": trained.path, "seed": SEED });
        let begun: BeginReply = peer.ask(&request)?;
        let radius_factor = if env.breaks(Part::Attacks) { 1.2 } else { 1.0 };
        Ok(Self { peer, exchange, radius_factor, accuracy: begun.accuracy })
    }

    /// Which images `library`'s attack breaks, and the distances of what it made.
    pub(super) fn attack(
        &mut self,
        library: &str,
        norm: &str,
        mut settings: Value,
    ) -> Result<(Tensor, Tensor, String)> {
        let radius = settings.get("radius").and_then(Value::as_f64);
        settings["what"] = "attack".into();
        settings["library"] = library.into();
        settings["norm"] = norm.into();
        settings["seed"] = SEED.into();
        settings["folder"] = json!(self.exchange.folder());
        if let Some(radius) = radius {
            settings["radius"] = (radius * self.radius_factor).into();
        }
        eprintln!("  {library}: {} in {norm}", settings["attack"].as_str().unwrap_or_default());
        let reply: AttackReply = self.peer.ask(&settings)?;
        let found = self.exchange.read("found")?;
        let (wrong, distance) = (found.get("wrong")?.to_kind(Kind::Bool), found.get("distance")?.shallow_clone());
        Ok((wrong, distance, format!("{library} {}", reply.version)))
    }
}
