//! What a job needs of a worker beside its device: that it can read the job's spec, and that it sees the images.

use std::{collections::BTreeSet, sync::Arc};

use crate::images::Images;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Needs {
    /// [`SPEC_VERSION`](crate::spec::SPEC_VERSION) of whoever wrote the spec.
    pub spec_version: u32,
    /// `None` if its images are synthetic, or nobody knew them when it was submitted.
    pub images: Option<Images>,
}

/// What a worker has said of itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Offers {
    pub spec_version: u32,
    pub images: Arc<BTreeSet<Images>>,
}

impl Needs {
    pub(super) fn are_met_by(&self, offers: &Offers) -> bool {
        self.can_be_read_by(offers) && self.images.as_ref().is_none_or(|images| offers.images.contains(images))
    }

    fn can_be_read_by(&self, offers: &Offers) -> bool {
        self.spec_version <= offers.spec_version
    }

    /// Why these workers, by name, cannot have the job; `None` if they can.
    pub(super) fn unmet(&self, fleet: &[(&str, &Offers)]) -> Option<String> {
        let (readers, others): (Vec<_>, Vec<_>) = fleet.iter().partition(|(_, offers)| self.can_be_read_by(offers));
        let blind: Vec<_> = readers.into_iter().filter(|(_, offers)| !self.are_met_by(offers)).collect();
        let images = self.images.as_ref().filter(|_| !blind.is_empty()).map(|Images { dataset, sha256 }| {
            let checksum = &sha256[..sha256.len().min(8)];
            format!("`{dataset}` with the images of the submit (checksum {checksum}) is not on {}", names(&blind))
        });
        let spec = (!others.is_empty()).then(|| {
            let version = self.spec_version;
            format!("its spec (version {version}) is too new for {}: update that worker's program", names(&others))
        });
        let reasons: Vec<String> = images.into_iter().chain(spec).collect();
        (!reasons.is_empty()).then(|| reasons.join("; "))
    }
}

fn names(workers: &[(&str, &Offers)]) -> String {
    const NAMED: usize = 3;
    let mut names: Vec<&str> = workers.iter().map(|(name, _)| *name).collect();
    names.sort_unstable();
    let more = format!("{} more", names.len().saturating_sub(NAMED));
    if names.len() > NAMED {
        names.truncate(NAMED);
        names.push(&more);
    }
    names.join(", ")
}
