//! The way from afar to a coordinator that is measured: over TLS, with its certificate pinned.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use tandem_connect::{Address, Dialer, House, Tuning, look::look, pin::pin};
use tandem_harness::Coordinator;
use tonic::transport::Channel;

const TUNING: Tuning = Tuning { connect_within: Duration::from_secs(20), ping_every: None };

#[derive(Clone, Debug)]
pub(crate) struct Way {
    address: Address,
    house: Option<House>,
}

impl Way {
    pub(crate) async fn to(coordinator: &Coordinator) -> Result<Self> {
        let address: Address = coordinator.address.parse().map_err(|error| anyhow!("{error}"))?;
        let house = match (&coordinator.fingerprint, address.host_port()) {
            (Some(fingerprint), Some(at)) => {
                let fingerprint = fingerprint.parse().map_err(|error| anyhow!("{error}"))?;
                let chain = look(&address).await.map_err(|error| anyhow!("{error}"))?;
                Some(pin(at, &chain, fingerprint).map_err(|error| anyhow!("{error}"))?)
            }
            _ => None,
        };
        Ok(Self { address, house })
    }

    /// A connection of its own.
    pub(crate) async fn connect(&self) -> Result<Channel> {
        let dialer = Dialer::new(&self.address, self.house.as_ref(), TUNING, Arc::new(|_, _| Ok(())));
        let dialer = dialer.map_err(|error| anyhow!("{error}"))?;
        dialer.connect().await.with_context(|| format!("connecting to {}", self.address))
    }
}
