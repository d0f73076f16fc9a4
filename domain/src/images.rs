//! The data sets that workers see, and which images a job is submitted with.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{
    spec::{Dataset, ImageCounts},
    words::is_near,
};

/// A data set by what is in it: equal names and checksums are equal images and labels.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Images {
    /// "cifar10", "folder:cats".
    pub dataset: String,
    pub sha256: String,
}

/// What a worker says of its data folder.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Announced {
    /// False while some are still being read.
    pub complete: bool,
    pub datasets: Vec<SeenDataset>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SeenDataset {
    pub name: String,
    /// Of images, labels and the names of classes; empty if they were not read.
    pub sha256: String,
    pub classes: u64,
    /// Images to train on, and to test on.
    pub train: u64,
    pub test: u64,
    /// Why it cannot be used; empty if it can.
    pub problem: String,
    /// SHA-256 of the file in the store that it was read from; empty for one of the worker's own data folder.
    #[serde(default)]
    pub stored: String,
}

impl SeenDataset {
    fn counts(&self) -> Option<ImageCounts> {
        let Self { train, test, classes, .. } = *self;
        (train > 0 && classes > 0).then_some(ImageCounts { train, test, classes })
    }
}

impl Announced {
    /// Those whose checksum is known.
    pub fn images(self) -> BTreeSet<Images> {
        let known = self.datasets.into_iter().filter(|seen| seen.problem.is_empty() && !seen.sha256.is_empty());
        known.map(|SeenDataset { name, sha256, .. }| Images { dataset: name, sha256 }).collect()
    }
}

/// Images that some worker has read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownImages {
    pub sha256: String,
    /// `None` if the worker is of a version that does not say.
    pub counts: Option<ImageCounts>,
}

/// Which images a job takes.
#[derive(Clone, Debug, PartialEq)]
pub enum Choice {
    Known {
        images: KnownImages,
        /// What a person should know of it.
        note: Option<String>,
    },
    /// No worker has read them, but some may have them: the job goes wherever it fits.
    Unknown { note: Option<String> },
    /// A worker is about to say whether it has them.
    NotYet,
    /// No worker can have it.
    Refused(String),
}

/// Chooses for a job on `dataset`, from what the workers say that are there (by name; `None` if it has not said anything).
///
/// Where workers see different images under one name, those of the most workers are taken. `stored`: the file in the store that has
/// this name, by its SHA-256. Then only what was read from it counts, and where there is none, only what was not: a worker that has
/// not looked since somebody put or removed it tells of images that are gone.
pub fn choose(dataset: &Dataset, stored: Option<&str>, workers: &[(String, Option<Announced>)]) -> Choice {
    let name = dataset.to_string();
    if *dataset == Dataset::Shapes || workers.is_empty() {
        return Choice::Unknown { note: None };
    }
    let mut counts: BTreeMap<&str, ImageCounts> = BTreeMap::new();
    let mut by_checksum: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut problems: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let (mut others, mut is_unread) = (BTreeSet::new(), false);
    for (worker, announced) in workers {
        for seen in announced.iter().flat_map(|announced| &announced.datasets) {
            if seen.name == name && seen.stored != stored.unwrap_or_default() {
                continue;
            }
            match (seen.name == name, seen.problem.is_empty(), seen.sha256.is_empty()) {
                (true, false, _) => problems.entry(&seen.problem).or_default().push(worker),
                (true, true, true) => is_unread = true,
                (true, true, false) => {
                    by_checksum.entry(&seen.sha256).or_default().push(worker);
                    counts.extend(seen.counts().map(|counts| (seen.sha256.as_str(), counts)));
                }
                (false, true, _) => _ = others.insert(seen.name.as_str()),
                (false, false, _) => {}
            }
        }
    }
    let most = by_checksum.iter().max_by_key(|(_, workers)| workers.len());
    if let Some((sha256, on)) = most {
        let note = (by_checksum.len() > 1).then(|| {
            let count = on.len();
            let short = &sha256[..sha256.len().min(8)];
            format!(
                "`{name}` is not the same on all workers: {} kinds; taken is that of {count} (checksum {short}: {}), and only \
                 these get the jobs",
                by_checksum.len(),
                on.join(", ")
            )
        });
        let images = KnownImages { sha256: (*sha256).to_owned(), counts: counts.get(sha256).copied() };
        return Choice::Known { images, note };
    }
    if is_unread {
        let note = format!("`{name}` is there, but no worker has read it: its checksum is not part of the job");
        return Choice::Unknown { note: Some(note) };
    }
    if workers.iter().any(|(_, announced)| announced.as_ref().is_none_or(|announced| !announced.complete)) {
        return Choice::NotYet;
    }
    if stored.is_some() && problems.is_empty() {
        return Choice::NotYet;
    }
    let near = others.iter().copied().find(|other| is_near(bare(&name), bare(other)));
    let near = near.map(|other| format!("; did you mean `{other}`?")).unwrap_or_default();
    let more = others.len().saturating_sub(NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let others = match others.len() {
        0 => "they see no data set".to_owned(),
        _ => format!("they see {}{more}{near}", others.into_iter().take(NAMED).collect::<Vec<_>>().join(", ")),
    };
    let problems: Vec<String> =
        problems.into_iter().map(|(problem, workers)| format!("{}: {problem}", workers.join(", "))).collect();
    Choice::Refused(match problems.as_slice() {
        [] => {
            let how = match dataset {
                Dataset::Folder(name) => format!("; bring yours by `tandem data put {name} FOLDER`"),
                _ => String::new(),
            };
            format!("no worker has the data set `{name}` ({others}){how}")
        }
        problems => format!("no worker can read the data set `{name}`: {}", problems.join("; ")),
    })
}

/// Data sets that a refusal names; whoever has more looks at `tandem data list`.
const NAMED: usize = 10;

/// Without what all folders have.
fn bare(name: &str) -> &str {
    name.strip_prefix("folder:").unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn worker(name: &str, complete: bool, seen: &[(&str, &str, &str)]) -> (String, Option<Announced>) {
        let datasets = seen.iter().map(|(name, sha256, problem)| SeenDataset {
            name: (*name).to_owned(),
            sha256: (*sha256).to_owned(),
            problem: (*problem).to_owned(),
            ..SeenDataset::default()
        });
        (name.to_owned(), Some(Announced { complete, datasets: datasets.collect() }))
    }

    fn cats() -> Dataset {
        Dataset::Folder("cats".to_owned())
    }

    #[test]
    fn the_images_of_the_most_workers_are_taken_and_it_is_said_that_others_differ() {
        let fleet = [
            worker("a", true, &[("folder:cats", "11", "")]),
            worker("b", true, &[("folder:cats", "22", "")]),
            worker("c", false, &[("folder:cats", "22", "")]),
        ];
        let Choice::Known { images, note: Some(note) } = choose(&cats(), None, &fleet) else { panic!() };
        assert_eq!(images.sha256, "22");
        assert!(note.contains("2 kinds; taken is that of 2 (checksum 22: b, c)"), "{note}");
        let mut fleet = fleet;
        fleet[1].1.as_mut().unwrap().datasets[0] = SeenDataset {
            name: "folder:cats".into(),
            sha256: "22".into(),
            classes: 2,
            train: 64,
            test: 8,
            ..SeenDataset::default()
        };
        let counts = Some(ImageCounts { train: 64, test: 8, classes: 2 });
        let images = KnownImages { sha256: "22".to_owned(), counts };
        assert_eq!(choose(&cats(), None, &fleet[1..]), Choice::Known { images, note: None }, "and how many there are");
    }

    #[test]
    fn what_nobody_has_is_refused_once_everybody_has_said_so() {
        let mut fleet = vec![worker("a", true, &[("cifar10", "11", "")]), ("b".to_owned(), None)];
        assert_eq!(choose(&cats(), None, &fleet), Choice::NotYet);
        fleet[1] = worker("b", false, &[]);
        assert_eq!(choose(&cats(), None, &fleet), Choice::NotYet);
        fleet[1] = worker("b", true, &[]);
        let why = "no worker has the data set `folder:cats` (they see cifar10); bring yours by `tandem \
                   data put cats FOLDER`";
        assert_eq!(choose(&cats(), None, &fleet), Choice::Refused(why.to_owned()));
        let seen = |name| vec![worker("a", true, &[("folder:dogs", "22", ""), (name, "11", "")])];
        let why = "no worker has the data set `folder:cats` (they see folder:cat, folder:dogs; did you mean \
                   `folder:cat`?); bring yours by `tandem data put cats FOLDER`";
        assert_eq!(choose(&cats(), None, &seen("folder:cat")), Choice::Refused(why.to_owned()));
        let Choice::Refused(why) = choose(&cats(), None, &seen("folder:trees")) else { panic!() };
        assert!(!why.contains("did you mean"), "{why}");
        fleet[1] = worker("b", true, &[("folder:cats", "", "train/a/1.png is cut off")]);
        let why = "no worker can read the data set `folder:cats`: b: train/a/1.png is cut off";
        assert_eq!(choose(&cats(), None, &fleet), Choice::Refused(why.to_owned()));
        fleet[0] = worker("a", true, &[("folder:cats", "11", "")]);
        assert!(matches!(choose(&cats(), None, &fleet), Choice::Known { .. }), "one worker is enough");
    }

    #[test]
    fn what_was_read_before_somebody_put_or_removed_it_does_not_count() {
        let of = |sha256: &str, stored: &str| {
            let mut worker = worker("a", true, &[("folder:cats", sha256, "")]);
            worker.1.as_mut().unwrap().datasets[0].stored = stored.to_owned();
            vec![worker]
        };
        let known = |choice| matches!(choice, Choice::Known { images, .. } if images.sha256 == "11");
        assert!(known(choose(&cats(), Some("f1"), &of("11", "f1"))));
        assert_eq!(choose(&cats(), Some("f2"), &of("11", "f1")), Choice::NotYet, "replaced");
        assert!(matches!(choose(&cats(), None, &of("11", "f1")), Choice::Refused(_)), "removed");
        assert_eq!(
            choose(&cats(), Some("f1"), &of("11", "")),
            Choice::NotYet,
            "a folder of that name, before it was put"
        );
        assert!(known(choose(&cats(), None, &of("11", ""))));
        let mut damaged = of("", "f1");
        damaged[0].1.as_mut().unwrap().datasets[0].problem = "cut off".to_owned();
        assert!(matches!(choose(&cats(), Some("f1"), &damaged), Choice::Refused(why) if why.contains("cut off")));
    }

    #[test]
    fn without_workers_or_with_synthetic_images_there_is_nothing_to_know() {
        assert_eq!(choose(&cats(), None, &[]), Choice::Unknown { note: None });
        assert_eq!(choose(&Dataset::Shapes, None, &[worker("a", true, &[])]), Choice::Unknown { note: None });
        let unread = [worker("a", true, &[("folder:cats", "", "")])];
        assert!(matches!(choose(&cats(), None, &unread), Choice::Unknown { note: Some(_) }));
    }
}
