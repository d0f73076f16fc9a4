//! Results: finished jobs with their figures, and curves of metrics.

use std::collections::HashMap;

use tandem_domain::plan;
use uuid::Uuid;

use crate::{
    error::{Error, Result},
    query::{jobs::limited, thinned::Thin},
    store::{
        Conn,
        overview::{self, JobRow},
        picks::{Figures, Filter},
        points::{self, Curve},
    },
    target,
};

/// A query for finished jobs; empty strings select everything.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Question<'a> {
    /// Whose experiments a name stands for first.
    pub(crate) own: &'a str,
    pub(crate) target: &'a str,
    pub(crate) stage: &'a str,
    /// Name of the result to sort by.
    pub(crate) best: &'a str,
    pub(crate) ascending: bool,
    pub(crate) limit: u32,
}

/// Ended jobs that succeeded or have results: sorted by the result asked for (jobs without it last), else newest first.
pub(crate) async fn query(conn: &mut Conn, question: Question<'_>) -> Result<Vec<JobRow>> {
    let target = match question.target {
        "" => None,
        text => Some(target::resolve(conn, text, question.own).await?),
    };
    let Question { stage, best, ascending, limit, .. } = question;
    if !stage.is_empty() {
        plan::check_stage(stage).map_err(Error::Invalid)?;
    }
    let filter = Filter {
        scope: target::scope(target.as_ref()),
        figures: Some(Figures { stage, best, ascending }),
        limit: limited(limit),
        ..Filter::default()
    };
    Ok(overview::list(conn, &filter).await?)
}

pub(crate) struct NamedCurve {
    pub(crate) job_name: String,
    pub(crate) curve: Curve,
    /// Of its points, before it was thinned.
    pub(crate) count: usize,
}

/// Which curves, and how much of each.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'a> {
    /// Of all names if there are none.
    pub(crate) names: &'a [String],
    pub(crate) thin: Thin,
}

/// Curves in the order of the jobs.
pub(crate) async fn metrics(
    conn: &mut Conn,
    target: &str,
    own: &str,
    Wanted { names, thin }: Wanted<'_>,
) -> Result<Vec<NamedCurve>> {
    let target = target::resolve(conn, target, own).await?;
    let jobs = target::names_of(conn, target).await?;
    let ids: Vec<_> = jobs.iter().map(|job| job.job_id).collect();
    let curves = points::curves(conn, &ids, names, thin.from()).await?;
    let mut names: HashMap<Uuid, String> = HashMap::new();
    for job in jobs {
        // An experiment may have two names for one job; the first one is shown.
        names.entry(job.job_id).or_insert(job.name);
    }
    let named = curves.into_iter().filter_map(|curve| {
        let job_name = names.get(&curve.job)?.clone();
        let count = curve.values.len();
        Some(NamedCurve { job_name, curve: thin.of(curve), count })
    });
    Ok(named.collect())
}
