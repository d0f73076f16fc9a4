//! The data sets that the workers see.

use std::collections::BTreeMap;

use tandem_proto::v1::{Dataset, StoredDataset, Worker};

use super::{
    table::{Rows, Style},
    units,
};
use crate::{json::SeenDataset, printable};

/// Workers that are named; the rest are counted.
const NAMED: usize = 3;

/// One row for each data set, and for each kind of images where workers see different ones; `None` if there are none.
pub(crate) fn table(workers: &[Worker], style: Style) -> Option<String> {
    let mut seen: BTreeMap<(&str, &str), (&Dataset, Vec<&str>)> = BTreeMap::new();
    for (worker, dataset) in each(workers).filter(|(_, dataset)| dataset.problem.is_empty()) {
        let (_, on) = seen.entry((&dataset.name, &dataset.sha256)).or_insert((dataset, Vec::new()));
        on.push(&worker.name);
    }
    if seen.is_empty() {
        return None;
    }
    let mut rows = Rows::new(style, &["DATA SET", "TRAIN", "TEST", "CLASSES", "CHECKSUM", "ON"]);
    for ((name, sha256), (dataset, on)) in seen {
        let checksum = if sha256.is_empty() { "not read" } else { &sha256[..sha256.len().min(8)] };
        let on = if on.len() == workers.len() { "all".to_owned() } else { named(&on) };
        let counts = [dataset.train, dataset.test, dataset.classes].map(|count| count.to_string());
        let [train, test, classes] = counts;
        rows.row(vec![name.into(), train.into(), test.into(), classes.into(), checksum.into(), on.into()]);
    }
    Some(rows.to_string())
}

/// Those that people have put into the store; `None` if there are none.
pub(crate) fn stored(datasets: &[StoredDataset], style: Style) -> Option<String> {
    if datasets.is_empty() {
        return None;
    }
    let mut rows = Rows::new(style, &["IN THE STORE", "OF", "SIZE", ""]);
    for dataset in datasets {
        let StoredDataset { name, owner, bytes, arrived, stored, .. } = dataset;
        let share = 100 * arrived / (*bytes).max(1);
        let state = if *stored { String::new() } else { format!("{share} % has arrived") };
        rows.row([format!("folder:{name}").into(), owner.into(), units::bytes(*bytes).into(), state.into()]);
    }
    rows.right(2);
    Some(rows.to_string())
}

/// The data sets, each with the workers that see it so.
pub(crate) fn seen(workers: &[Worker]) -> Vec<SeenDataset<'_>> {
    let mut seen: BTreeMap<(&str, &str, &str), SeenDataset<'_>> = BTreeMap::new();
    for (worker, dataset) in each(workers) {
        let key = (dataset.name.as_str(), dataset.sha256.as_str(), dataset.problem.as_str());
        seen.entry(key).or_insert(SeenDataset { dataset, on: Vec::new() }).on.push(&worker.name);
    }
    seen.into_values().collect()
}

/// A line for each data set that cannot be used.
pub(crate) fn problems(workers: &[Worker]) -> String {
    let mut problems: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
    for (worker, dataset) in each(workers).filter(|(_, dataset)| !dataset.problem.is_empty()) {
        problems.entry((&dataset.name, &dataset.problem)).or_default().push(&worker.name);
    }
    let line = |((name, why), on): ((&str, &str), Vec<&str>)| {
        format!(
            "\n{} cannot be used on {}: {}",
            printable::line(name),
            printable::line(&named(&on)),
            printable::line(why)
        )
    };
    problems.into_iter().map(line).collect()
}

fn each(workers: &[Worker]) -> impl Iterator<Item = (&Worker, &Dataset)> {
    workers.iter().flat_map(|worker| worker.datasets.iter().map(move |dataset| (worker, dataset)))
}

fn named(workers: &[&str]) -> String {
    let more = workers.len().saturating_sub(NAMED);
    let names = workers.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
    if more == 0 { names } else { format!("{names}, {more} more") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn worker(name: &str, datasets: &[(&str, &str, &str)]) -> Worker {
        let datasets = datasets.iter().map(|(name, sha256, problem)| Dataset {
            name: (*name).to_owned(),
            sha256: (*sha256).to_owned(),
            problem: (*problem).to_owned(),
            train: 50_000,
            test: 10_000,
            classes: 10,
            stored: String::new(),
        });
        Worker { name: name.to_owned(), datasets: datasets.collect(), ..Worker::default() }
    }

    #[test]
    fn equal_images_share_a_row_and_other_images_of_one_name_do_not() {
        let workers = [
            worker("a", &[("cifar10", "11", ""), ("folder:cats", "22", "")]),
            worker("b", &[("cifar10", "11", ""), ("folder:cats", "33", ""), ("folder:dogs", "", "1.png is cut off")]),
        ];
        let text = table(&workers, Style::default()).unwrap();
        let rows: Vec<Vec<&str>> = text.lines().skip(1).map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(rows[0], ["cifar10", "50000", "10000", "10", "11", "all"]);
        assert_eq!((rows[1][4], rows[1][5], rows[2][4], rows[2][5]), ("22", "a", "33", "b"));
        assert_eq!(problems(&workers), "\nfolder:dogs cannot be used on b: 1.png is cut off");
        assert_eq!(table(&[worker("a", &[])], Style::default()), None);
        assert_eq!(problems(&[worker("a\nb", &[("c", "", "d\ne")])]).matches('\n').count(), 1, "nobody forges a line");
    }
}
