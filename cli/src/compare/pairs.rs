//! Which jobs of one side belong to which of another: those of one configuration, that is of one name without the seed.

use tandem_proto::v1::Job;

use crate::render::labels::configuration;

/// What was named on the command line, with its jobs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Side {
    /// `A`, `B`, ..: how it is called in tables.
    pub(crate) letter: String,
    pub(crate) target: String,
    /// Those that are compared.
    pub(crate) jobs: Vec<Job>,
    /// All jobs of their experiment, what they start from among them.
    pub(crate) around: Vec<Job>,
    /// There are more than were asked for.
    pub(crate) is_cut: bool,
}

/// Jobs of one configuration that at least two sides have.
#[derive(Debug)]
pub(crate) struct Pair<'a> {
    pub(crate) name: String,
    /// By side, in the order of its jobs; empty where it has none.
    pub(crate) jobs: Vec<Vec<&'a Job>>,
}

/// A configuration that one side alone has.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Alone {
    pub(crate) letter: String,
    pub(crate) name: String,
}

/// The jobs of `A`, `B`, .. beside each other, in the order of the first side that has them. Where each side has one configuration
/// alone, these are compared whatever they are called.
pub(crate) fn pairs(sides: &[Side]) -> (Vec<Pair<'_>>, Vec<Alone>) {
    let mut groups: Vec<Pair<'_>> = Vec::new();
    for (place, side) in sides.iter().enumerate() {
        for job in &side.jobs {
            let name = configuration(&job.name, false);
            let known = groups.iter().position(|group| group.name == name);
            let at = known.unwrap_or_else(|| {
                groups.push(Pair { name, jobs: vec![Vec::new(); sides.len()] });
                groups.len() - 1
            });
            groups[at].jobs[place].push(job);
        }
    }
    let of_side = |place: usize| groups.iter().filter(move |group| !group.jobs[place].is_empty()).count();
    if groups.len() > 1 && (0..sides.len()).all(|place| of_side(place) == 1) {
        let mut names: Vec<String> = Vec::new();
        let mut jobs = vec![Vec::new(); sides.len()];
        for group in groups {
            names.push(group.name);
            for (all, own) in jobs.iter_mut().zip(group.jobs) {
                all.extend(own);
            }
        }
        return (vec![Pair { name: names.join(", "), jobs }], Vec::new());
    }
    let (paired, single): (Vec<_>, Vec<_>) =
        groups.into_iter().partition(|group| group.jobs.iter().filter(|jobs| !jobs.is_empty()).count() > 1);
    let alone = single.into_iter().filter_map(|group| {
        let place = group.jobs.iter().position(|jobs| !jobs.is_empty())?;
        Some(Alone { letter: sides[place].letter.clone(), name: group.name })
    });
    (paired, alone.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn side(letter: &str, names: &[&str]) -> Side {
        let job = |name: &&str| Job { id: format!("{letter} {name}"), name: (*name).to_owned(), ..Job::default() };
        Side { letter: letter.to_owned(), jobs: names.iter().map(job).collect(), ..Side::default() }
    }

    fn names(sides: &[Side]) -> (Vec<String>, Vec<String>) {
        let (pairs, alone) = pairs(sides);
        let counts = |pair: &Pair<'_>| pair.jobs.iter().map(|jobs| jobs.len().to_string()).collect::<Vec<_>>();
        let pair = |pair: &Pair<'_>| format!("{}: {}", pair.name, counts(pair).join(" "));
        let alone = alone.iter().map(|one| format!("{} {}", one.letter, one.name)).collect();
        (pairs.iter().map(pair).collect(), alone)
    }

    #[test]
    fn seeds_are_runs_of_one_configuration() {
        let a = side("A", &["linear[label_fraction=0.1,seed=1]", "linear[label_fraction=0.1,seed=2]", "encoder"]);
        let b = side("B", &["linear[label_fraction=0.1]", "supervised"]);
        let (paired, alone) = names(&[a, b]);
        assert_eq!(paired, ["linear[label_fraction=0.1]: 2 1"]);
        assert_eq!(alone, ["A encoder", "B supervised"]);
    }

    #[test]
    fn two_jobs_are_compared_whatever_they_are_called() {
        let [a, b] = [side("A", &["plb[seed=1]", "plb[seed=2]"]), side("B", &["pgd"])];
        assert_eq!(names(&[a, b]).0, ["plb, pgd: 2 1"]);
        let sides = [side("A", &["x", "y"]), side("B", &["x"]), side("C", &["x", "y"])];
        assert_eq!(names(&sides).0, ["x: 1 1 1", "y: 1 0 1"]);
    }
}
