//! Asks for curves, no more at a time than a message holds.

use anyhow::Result;
use tandem_proto::v1::{MetricsRequest, Series};

use crate::client::Client;

/// Points that are asked for at a time, of one curve.
const PART: u32 = 100_000;
/// The first, the smallest, the largest and the last point tell what a curve is like.
const TELLING: u32 = 4;

pub(in crate::commands) struct Source<'a> {
    pub(in crate::commands) client: &'a Client,
    pub(in crate::commands) target: &'a str,
}

/// A part of a curve, and the step that the next one begins at, if there is one.
pub(in crate::commands) struct Part {
    pub(in crate::commands) series: Vec<Series>,
    pub(in crate::commands) next: Option<u64>,
}

impl Source<'_> {
    /// The curves of these names, of all without one: of each the number of its points and those that tell what it is like.
    pub(in crate::commands) async fn overview(&self, names: &[String]) -> Result<Vec<Series>> {
        self.thinned(names, TELLING).await
    }

    pub(in crate::commands) async fn thinned(&self, names: &[String], points: u32) -> Result<Vec<Series>> {
        let (target, names) = (self.target.to_owned(), names.to_vec());
        self.ask(MetricsRequest { target, names, points, extremes: true, ..MetricsRequest::default() }).await
    }

    /// Of this curve the points from this step on.
    pub(in crate::commands) async fn stretch(&self, curve: &Series, from_step: u64) -> Result<Part> {
        let (target, names) = (curve.job_id.clone(), vec![curve.name.clone()]);
        let request = MetricsRequest { target, names, most: PART, from_step, ..MetricsRequest::default() };
        let mut series = self.ask(request).await?;
        for one in &mut series {
            // As the experiment calls it.
            one.job_name.clone_from(&curve.job_name);
        }
        let last = series.iter().filter(|one| one.steps.len() >= PART as usize).filter_map(|one| one.steps.last());
        let next = last.max().map(|step| step + 1);
        Ok(Part { series, next })
    }

    async fn ask(&self, request: MetricsRequest) -> Result<Vec<Series>> {
        let answer = self.client.ask("ask for the curves", async |on| on.results().metrics(request.clone()).await);
        Ok(answer.await?.series)
    }
}
