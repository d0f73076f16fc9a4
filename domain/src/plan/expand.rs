//! From the file's tables to single jobs: one for every variant of a job and every selected variant of its inputs.

use serde_json::Value as Json;

use super::fault::{Fault, Faults};
use super::file::{File, JobTable};
use super::read::join;
use super::sweep::same;
use super::sweep::{self, Axis, BYTES_MAX, MOST_JOBS, NAME_BYTES_MAX, Suffix};
use super::variant::Variant;
use crate::spec::{Encoder, JobSpec, Stage};
use crate::words::hint;

/// A job, with what the jobs that start from it need to know.
pub(super) struct Expanded {
    pub spec: JobSpec,
    /// The encoder that it trains, or that its input has trained.
    pub encoder: Option<Encoder>,
    suffix: Suffix,
    parameters: Json,
}

/// The jobs of a file whose graph has this order.
pub(super) fn expand(file: &File<'_>, order: Vec<usize>, faults: &mut Faults) -> Vec<Expanded> {
    let jobs = all(file, order, faults);
    faults.keep(jobs).unwrap_or_default()
}

/// The first fault of size ends it; those of `where` are noted.
fn all(file: &File<'_>, order: Vec<usize>, faults: &mut Faults) -> Result<Vec<Expanded>, Fault> {
    let mut jobs: Vec<Expanded> = Vec::new();
    let mut tables: Vec<(&str, std::ops::Range<usize>)> = Vec::new();
    let mut bytes = 0;
    for table in order.into_iter().map(|i| &file.jobs[i]) {
        let start = jobs.len();
        if table.from.is_empty() {
            for variant in &table.variants {
                jobs.push(bounded(join_input(file, table, variant, None, &[]), table, &mut bytes)?);
            }
        }
        for from in &table.from {
            let Some((input, range)) = tables.iter().find(|(name, _)| name == from.get_ref()) else { continue };
            if range.is_empty() {
                // It has faults of its own.
                continue;
            }
            let inputs = match selected(table, input, &jobs[range.clone()]) {
                Ok(inputs) => inputs,
                Err(fault) => {
                    faults.push(fault);
                    // For what selects among the variants of this one.
                    jobs[range.clone()].iter().collect()
                }
            };
            let mut made = Vec::new();
            if inputs.len() * table.variants.len() + jobs.len() > MOST_JOBS {
                return Err(sweep::too_many(table.span.clone(), &join("jobs", &table.name)));
            }
            // Several jobs in `from` are alternatives, so the name says which one.
            let which = (table.from.len() > 1).then(|| ("from".to_owned(), Json::from(*input)));
            for input in inputs {
                let inherited: Suffix = which.iter().cloned().chain(input.suffix.iter().cloned()).collect();
                for variant in &table.variants {
                    made.push(bounded(join_input(file, table, variant, Some(input), &inherited), table, &mut bytes)?);
                }
            }
            jobs.extend(made);
        }
        if jobs.len() > MOST_JOBS {
            return Err(sweep::too_many(table.span.clone(), &join("jobs", &table.name)));
        }
        tables.push((&table.name, start..jobs.len()));
    }
    Ok(jobs)
}

/// The job, unless its name or all jobs so far are too long. `bytes`: of the jobs so far.
fn bounded(job: Expanded, table: &JobTable<'_>, bytes: &mut usize) -> Result<Expanded, Fault> {
    let fault = |message| Err(Fault::new(table.span.clone(), join("jobs", &table.name), message));
    let name = job.spec.name.len();
    if name > NAME_BYTES_MAX {
        return fault(format!(
            "the values of a sweep make a name of {name} bytes; expected at most {NAME_BYTES_MAX}: write shorter lists, \
             or one job for each"
        ));
    }
    *bytes += name + job.parameters.to_string().len();
    if *bytes > BYTES_MAX {
        return fault(format!(
            "the experiment expands to more than {BYTES_MAX} bytes of parameters; split it, or shorten its lists"
        ));
    }
    Ok(job)
}

/// The variants of the job `input` that `where` selects.
fn selected<'j>(table: &JobTable<'_>, input: &str, jobs: &'j [Expanded]) -> Result<Vec<&'j Expanded>, Fault> {
    let mut left: Vec<&Expanded> = jobs.iter().collect();
    for filter in &table.filters {
        let fault = |message| {
            Err(Fault::new(filter.span.clone(), join(&join("jobs", &table.name), &join("where", &filter.key)), message))
        };
        let values: Vec<_> = left.iter().filter_map(|job| value_of(job, &filter.key)).collect();
        if values.is_empty() {
            let known = jobs.iter().flat_map(|job| job.suffix.iter().map(|(key, _)| key.as_str()));
            let known: std::collections::BTreeSet<_> = known.collect();
            return fault(format!(
                "`{input}` has no key `{}` to select by{}",
                filter.key,
                hint(&filter.key, known.into_iter())
            ));
        }
        let matches = |job: &&Expanded| value_of(job, &filter.key).is_some_and(|value| is_wanted(filter, value));
        let selected: Vec<_> = left.iter().copied().filter(matches).collect();
        if selected.is_empty() {
            let mut values: Vec<_> = values.into_iter().map(sweep::text).collect();
            values.dedup();
            return fault(format!(
                "`where` leaves no variant of `{input}`: its `{}` is {}",
                filter.key,
                values.join(", ")
            ));
        }
        left = selected;
    }
    Ok(left)
}

/// A job's value of a key: a swept or inherited one, else a parameter.
fn value_of<'j>(job: &'j Expanded, key: &str) -> Option<&'j Json> {
    let swept = job.suffix.iter().find(|(name, _)| name == key).map(|(_, value)| value);
    swept.or_else(|| job.parameters.pointer(&format!("/{}", key.replace('.', "/"))))
}

fn is_wanted(filter: &Axis<'_>, value: &Json) -> bool {
    filter.values.iter().any(|wanted| same(&sweep::json(wanted.get_ref()), value))
}

fn join_input(
    file: &File<'_>,
    table: &JobTable<'_>,
    variant: &Variant,
    input: Option<&Expanded>,
    inherited: &[(String, Json)],
) -> Expanded {
    // If a key is swept both here and in the input, the inherited one is prefixed with the input's name.
    let own = |key: &str| variant.suffix.iter().any(|(name, _)| name == key);
    let input_name = input.map_or("", |input| input.spec.name.split('[').next().unwrap_or_default());
    let rename = |(key, value): &(String, Json)| {
        (if own(key) { format!("{input_name}.{key}") } else { key.clone() }, value.clone())
    };
    let suffix: Suffix = inherited.iter().map(rename).chain(variant.suffix.iter().cloned()).collect();
    let encoder = match &variant.stage {
        Stage::Contrastive(stage) => Some(stage.encoder),
        Stage::Supervised(stage) => Some(stage.encoder),
        Stage::Linear(_) | Stage::Finetune(_) | Stage::Attack(_) => input.and_then(|input| input.encoder),
    };
    let spec = JobSpec {
        name: sweep::name(&table.name, &suffix),
        dataset: file.dataset.clone(),
        seed: variant.seed.or(input.map(|input| input.spec.seed)).unwrap_or(file.seed),
        workers: variant.parallelism.workers,
        shards: variant.parallelism.shards,
        threads: variant.parallelism.threads,
        inputs: input.map(|input| input.spec.name.clone()).into_iter().collect(),
        stage: variant.stage.clone(),
    };
    let parameters = serde_json::to_value(&spec.stage).unwrap_or_default();
    Expanded { spec, encoder, suffix, parameters }
}
