//! The variants of one job: its table under its sweep, each read and checked by itself.

use serde_spanned::Spanned;
use toml::de::DeValue;

use super::fault::{Fault, Faults};
use super::parallelism::{Parallelism, WrittenParallelism};
use super::read::{join, locate, optional};
use super::sweep::{self, Axis, Suffix};
use super::{conflict, defaults, stage};
use crate::spec::{Dataset, Stage};

/// One point of a job's own sweep.
pub(super) struct Variant {
    pub suffix: Suffix,
    pub stage: Stage,
    /// `None`: the seed of its input, or the experiment's.
    pub seed: Option<u64>,
    pub parallelism: Parallelism,
}

/// What stands at the top of the file and is of consequence for each job.
pub(super) struct Shared {
    pub dataset: Dataset,
    pub seed: u64,
    /// `None` if it cannot be read.
    pub parallelism: Option<WrittenParallelism>,
}

/// A job's table while its variants are read.
pub(super) struct Reading<'r> {
    pub table: &'r str,
    pub stage: &'r str,
    /// Keys of its sweep that are wrong: missing in the variants, and no second fault there.
    pub unread: &'r [String],
    pub shared: &'r Shared,
}

/// A point of a sweep, as far as it can be read.
pub(super) struct Looked {
    pub stage: Stage,
    /// Keys that are not what the file says.
    pub unsure: Vec<String>,
    /// `None` with a fault.
    pub variant: Option<Variant>,
}

impl Reading<'_> {
    pub(super) fn variants(&self, job: &Spanned<DeValue<'_>>, axes: &[Axis<'_>], faults: &mut Faults) -> Vec<Looked> {
        // `from`, `where` and `sweep` are read once, not copied into every variant.
        let mut parameters = job.clone();
        for key in ["from", "where", "sweep"] {
            stage::take_out(&mut parameters, key);
        }
        let swept: Vec<String> = axes.iter().map(|axis| axis.key.clone()).collect();
        let clashes = sweep::clashes(self.table, &parameters, axes);
        if !clashes.is_empty() {
            // Both values are looked at.
            self.look(Suffix::new(), &parameters, &swept, faults);
        }
        for (key, fault) in clashes {
            faults.push(fault);
            stage::take_out(&mut parameters, key);
        }
        let (mut looked, mut is_plain_seen) = (Vec::new(), false);
        // Keys that are wrong in all variants, and told with the first.
        let mut wrong: Vec<String> = Vec::new();
        let count = faults.keep(sweep::count(self.table, &parameters, axes)).unwrap_or(0);
        // One table at a time: a hostile file costs no more than up to its first faults.
        for number in 0..count {
            if faults.is_full() {
                break;
            }
            match faults.keep(sweep::variant(self.table, &parameters, axes, number)) {
                Some((suffix, job)) => {
                    let found = self.look(suffix, &job, &wrong, faults);
                    if let (0, Some(found)) = (number, &found) {
                        let is_of_all = |key: &&String| !swept.contains(*key) && stage::take_out(&mut parameters, key);
                        wrong = found.unsure.iter().filter(is_of_all).cloned().collect();
                    }
                    looked.extend(found);
                }
                None if !is_plain_seen => {
                    is_plain_seen = true;
                    self.look(Suffix::new(), &parameters, &swept, faults);
                }
                None => {}
            }
        }
        looked
    }

    /// `swept`: keys that have no value here.
    fn look(
        &self,
        suffix: Suffix,
        job: &Spanned<DeValue<'_>>,
        swept: &[String],
        faults: &mut Faults,
    ) -> Option<Looked> {
        let Self { table, shared, .. } = *self;
        let values = job.get_ref().as_table()?;
        let seed = faults.keep(optional(table, values, "seed"));
        let own = WrittenParallelism::read(table, values, faults);
        let unread = [self.unread, swept].concat();
        let (mut stage, mut unsure) = stage::read(self.stage, table, job, &unread, faults)?;
        if own.is_none() || shared.parallelism.is_none() {
            unsure.extend(["workers", "shards"].map(str::to_owned));
        }
        let parallelism = own.unwrap_or_default().or(shared.parallelism.unwrap_or_default(), &stage);
        for (key, message) in conflict::find(&stage, parallelism, &shared.dataset, values, &unsure) {
            let span = locate(values, key).unwrap_or(job.span());
            faults.push(Fault::new(span, join(table, key), message));
        }
        defaults::fill(&mut stage, shared.seed, values);
        let right = seed.filter(|_| unsure.is_empty());
        let variant = right.map(|seed| Variant { suffix, stage: stage.clone(), seed, parallelism });
        Some(Looked { stage, unsure, variant })
    }
}
