//! What tells the lines of a figure apart: no more than that.

use std::collections::BTreeSet;

use tandem_proto::v1::Job;

use super::{
    job_specs::{JobSpecs, base, describe, swept},
    units::{id_length, short_id},
};

const SEED: &str = "seed";

/// A label for each job. Jobs that differ in their seed alone have one label, unless `each` is to have its own.
pub(crate) fn labels(jobs: &[Job], each: bool) -> Vec<String> {
    let specs = JobSpecs::new(jobs);
    let all: Vec<&Job> = jobs.iter().collect();
    let keys: Vec<String> = specs.varying(&all).into_iter().filter(|key| each || key != SEED).collect();
    let experiments = Experiments::of(jobs);
    let have_several_names = distinct(jobs.iter().map(|job| base(&job.name))) > 1;
    let have_several_inputs = distinct(jobs.iter().map(|job| from(&job.name))) > 1;
    let short = |job: &Job| {
        let mut parts: Vec<String> = experiments.name(job).into_iter().collect();
        parts.extend(have_several_names.then(|| base(&job.name).to_owned()));
        parts.extend(from(&job.name).filter(|_| have_several_inputs).map(|from| format!("from {from}")));
        parts.extend(keys.iter().filter_map(|key| Some(describe(key, &specs.value(job, key)?))));
        if parts.is_empty() { base(&job.name).to_owned() } else { parts.join(", ") }
    };
    let full = |job: &Job| {
        let experiment = experiments.name(job).map(|name| format!("{name} / ")).unwrap_or_default();
        format!("{experiment}{}", configuration(&job.name, each))
    };
    let labels: Vec<String> = jobs.iter().map(short).collect();
    // Where it would say the same of two things, the whole name is said.
    let is_shared = |place: usize| {
        let identity = |job: &Job| (job.experiment_id.clone(), configuration(&job.name, each));
        let own = identity(&jobs[place]);
        jobs.iter().zip(&labels).any(|(job, label)| *label == labels[place] && identity(job) != own)
    };
    jobs.iter()
        .enumerate()
        .map(|(place, job)| if is_shared(place) { full(job) } else { labels[place].clone() })
        .collect()
}

/// A job's name without its seed, which makes no other thing of it; with `each`, with it.
pub(crate) fn configuration(name: &str, each: bool) -> String {
    let keys: Vec<String> =
        swept(name).filter(|(key, _)| each || *key != SEED).map(|(key, value)| format!("{key}={value}")).collect();
    if keys.is_empty() { base(name).to_owned() } else { format!("{}[{}]", base(name), keys.join(",")) }
}

fn from(name: &str) -> Option<&str> {
    swept(name).find(|(key, _)| *key == "from").map(|(_, from)| from)
}

fn distinct<T: Ord>(all: impl Iterator<Item = T>) -> usize {
    all.collect::<BTreeSet<T>>().len()
}

/// The experiments of the jobs, where there are several.
struct Experiments {
    are_several: bool,
    /// Two have one name: their ids tell them apart.
    id_length: Option<usize>,
}

impl Experiments {
    fn of(jobs: &[Job]) -> Self {
        let ids = || jobs.iter().map(|job| job.experiment_id.as_str());
        let [by_id, by_name] = [distinct(ids()), distinct(jobs.iter().map(|job| job.experiment_name.as_str()))];
        Self { are_several: by_id.max(by_name) > 1, id_length: (by_id > by_name).then(|| id_length(ids())) }
    }

    fn name(&self, job: &Job) -> Option<String> {
        let id = self.id_length.map(|length| format!(" ({})", short_id(&job.experiment_id, length)));
        self.are_several.then(|| format!("{}{}", job.experiment_name, id.unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::render::job_specs::tests::job;

    fn of(experiment: &str, id: &str, name: &str) -> Job {
        let job = job(name, "contrastive", None, json!({}), None);
        Job { experiment_name: experiment.to_owned(), experiment_id: id.to_owned(), ..job }
    }

    #[test]
    fn a_label_is_what_differs() {
        let one = |names: &[&str], each| labels(&names.iter().map(|name| of("a", "1", name)).collect::<Vec<_>>(), each);
        assert_eq!(one(&["encoder"], false), ["encoder"]);
        assert_eq!(
            one(&["encoder[optimizer.lr=0.1,x=1]", "encoder[optimizer.lr=0.3,x=1]"], false),
            ["optimizer.lr = 0.1", "optimizer.lr = 0.3"]
        );
        assert_eq!(one(&["a", "b[tikhonov.lambda=10.0]"], false), ["a", "b, λ = 10"]);
        assert_eq!(one(&["l[from=a]", "l[from=b]"], false), ["from a", "from b"]);
    }

    #[test]
    fn seeds_of_one_thing_have_one_label() {
        let jobs = ["e[lr=1,seed=1]", "e[lr=1,seed=2]", "e[lr=2,seed=1]"].map(|name| of("a", "1", name));
        assert_eq!(labels(&jobs, false), ["lr = 1", "lr = 1", "lr = 2"]);
        assert_eq!(labels(&jobs, true), ["lr = 1, seed 1", "lr = 1, seed 2", "lr = 2, seed 1"]);
    }

    #[test]
    fn experiments_are_told_apart() {
        let names = |jobs: &[Job]| labels(jobs, false);
        assert_eq!(names(&[of("a", "1", "e"), of("b", "2", "e")]), ["a", "b"]);
        let [one, two] = ["0199a1b2-aaaa", "0299a1b2-bbbb"];
        assert_eq!(names(&[of("a", one, "e"), of("a", two, "e")]), ["a (0199a1b2)", "a (0299a1b2)"]);
    }

    #[test]
    fn what_differs_in_no_swept_key_has_its_whole_name() {
        // The value of a key that only one has been swept over.
        let mut jobs = [of("a", "1", "e[x=1]"), of("a", "1", "e")];
        jobs[1].spec_json = json!({"seed": 1, "stage": {"x": 1}}).to_string();
        assert_eq!(labels(&jobs, false), ["e[x=1]", "e"]);
    }
}
