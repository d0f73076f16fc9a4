//! The graph of jobs: inputs checked by stage, no cycles, in topological order.

use std::collections::HashSet;

use serde_spanned::Spanned;

use super::fault::{Fault, Faults};
use super::file::{File, JobTable};
use super::read::join;
use super::stage;
use crate::words::hint;

/// Indexes into the jobs in topological order, else in the order of the file; without those that start from what is wrong.
pub(super) fn order(file: &File<'_>, faults: &mut Faults) -> Vec<usize> {
    let jobs = &file.jobs;
    let mut left: Vec<usize> =
        (0..jobs.len()).filter(|&i| !faults.is_full() && faults.keep(check_inputs(&jobs[i], file)).is_some()).collect();
    let named = |i: usize, name: &str| is(&jobs[i], name);
    // What starts from a job that is left out is left out as well.
    loop {
        let known = |from: &Spanned<String>| left.iter().any(|&i| named(i, from.get_ref()));
        let kept: Vec<usize> = left.iter().copied().filter(|&i| jobs[i].from.iter().all(known)).collect();
        if kept.len() == left.len() {
            break;
        }
        left = kept;
    }
    let mut order = Vec::with_capacity(left.len());
    let mut placed = HashSet::new();
    while order.len() < left.len() {
        let ready = |job: &JobTable<'_>| job.from.iter().all(|from| placed.contains(from.get_ref().as_str()));
        let next = left.iter().copied().find(|&i| !placed.contains(jobs[i].name.as_str()) && ready(&jobs[i]));
        let Some(next) = next else {
            faults.push(cycle(jobs, &left, &order));
            break;
        };
        order.push(next);
        placed.insert(jobs[next].name.as_str());
    }
    order
}

fn article(stage: &str) -> String {
    format!("{} {stage}", if stage.starts_with('a') { "an" } else { "a" })
}

fn is(job: &JobTable<'_>, name: &str) -> bool {
    job.name == name
}

fn check_inputs(job: &JobTable<'_>, file: &File<'_>) -> Result<(), Fault> {
    let jobs = &file.jobs;
    let key = join(&join("jobs", &job.name), "from");
    let accepted = stage::inputs(job.stage);
    let wanted = accepted.join(", ");
    if let (Some(from), true) = (job.from.first(), accepted.is_empty()) {
        let message = format!("{} job starts from nothing: remove `from`", article(job.stage));
        return Err(Fault::new(from.span(), key, message));
    }
    if job.from.is_empty() && !accepted.is_empty() && !job.is_from_misspelt {
        let near = jobs.iter().find(|other| accepted.contains(&other.stage));
        let such_as = near.map(|other| format!(", such as `from = \"{}\"`", other.name)).unwrap_or_default();
        let message = format!(
            "missing key `from` in [jobs.{}]: {} job starts from a job of stage {wanted}{such_as}",
            job.name,
            article(job.stage)
        );
        return Err(Fault::new(job.span.clone(), key, message));
    }
    if let (Some(filter), true) = (job.filters.first(), job.from.is_empty() && !job.is_from_misspelt) {
        let message = "`where` selects among the jobs named in `from`, and there is none";
        return Err(Fault::new(filter.span.clone(), join(&join("jobs", &job.name), "where"), message));
    }
    for from in &job.from {
        let name = from.get_ref();
        let Some(input) = jobs.iter().find(|other| is(other, name)) else {
            if !file.complete {
                // It may be one that cannot be read.
                continue;
            }
            let others = jobs.iter().map(|other| other.name.as_str()).filter(|other| *other != job.name);
            let message = format!("no job is named `{name}`{}", hint(name, others));
            return Err(Fault::new(from.span(), key, message));
        };
        // A job that names itself is reported as a cycle, whatever its stage.
        if !accepted.contains(&input.stage) && !is(job, name) {
            let message = format!(
                "{} job starts from a job of stage {wanted}, but `{name}` is {}",
                article(job.stage),
                input.stage
            );
            return Err(Fault::new(from.span(), key, message));
        }
    }
    Ok(())
}

/// Those of `all` that are not `done` contain a cycle: follows inputs until a job comes up twice.
fn cycle(jobs: &[JobTable<'_>], all: &[usize], done: &[usize]) -> Fault {
    let left: Vec<_> = all.iter().copied().filter(|i| !done.contains(i)).collect();
    let next = |i: usize| {
        let input = |from: &Spanned<String>| left.iter().copied().find(|&j| is(&jobs[j], from.get_ref()));
        jobs[i].from.iter().find_map(input).unwrap_or(i)
    };
    let mut path = vec![left[0]];
    loop {
        let last = next(path[path.len() - 1]);
        if let Some(start) = path.iter().position(|&i| i == last) {
            let names: Vec<_> = path[start..].iter().chain([&last]).map(|&i| jobs[i].name.as_str()).collect();
            let job = &jobs[last];
            let message = format!("jobs start from each other in a circle: {}", names.join(" -> "));
            let onward = job.from.iter().find(|from| from.get_ref() == names[1]);
            let span = onward.map_or(job.span.clone(), |from| from.span());
            return Fault::new(span, join(&join("jobs", &job.name), "from"), message);
        }
        path.push(last);
    }
}
