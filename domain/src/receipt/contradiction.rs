//! What a receipt says against itself: some of its facts follow from others, and whoever alters one forgets those.

use super::{
    facts::Receipt,
    statement::{Statement, subjects},
};
use crate::{
    plan::{content_key, fresh_key},
    spec::JobSpec,
};

/// In words, each with the field that it is about; nothing if all fits.
pub fn contradictions(statement: &Statement) -> Vec<String> {
    let receipt = &statement.predicate;
    let mut found = Vec::new();
    let expected = subjects(receipt);
    for at in 0..expected.len().max(statement.subject.len()) {
        if statement.subject.get(at) != expected.get(at) {
            let name = statement.subject.get(at).or(expected.get(at)).map_or("", |subject| subject.name.as_str());
            found.push(format!("subject[{at}] (`{name}`) is not what predicate.artifacts says"));
        }
    }
    match serde_json::from_value::<JobSpec>(receipt.spec.clone()) {
        Err(error) => found.push(format!("predicate.spec is no spec of a job: {error}")),
        Ok(spec) => {
            let told = (spec.seed, spec.shards, spec.stage.name());
            if told != (receipt.job.seed, receipt.job.shards, receipt.job.stage.as_str()) {
                found.push("predicate.job has another stage, seed or number of shards than predicate.spec".to_owned());
            }
            if receipt.key.derived == Some(true) && derived(receipt) != Some(true) {
                found.push(
                    "predicate.spec, with images and inputs, does not give predicate.key.content_key: one of them is not \
                     what was submitted"
                        .to_owned(),
                );
            }
        }
    }
    let last = receipt.attempts.last().map(|attempt| attempt.state.as_str());
    if last != Some("succeeded") {
        found.push(format!("predicate.attempts ends with `{}`, and not with success", last.unwrap_or("none")));
    }
    found
}

/// Whether the content key is of this spec, these images and inputs; `None` where that cannot be told.
pub fn derived(receipt: &Receipt) -> Option<bool> {
    let key = &receipt.key;
    let spec = serde_json::from_value::<JobSpec>(receipt.spec.clone()).ok()?;
    // The keys that a fresh experiment's inputs would have without its salt stand nowhere; nor does what versions before
    // receipts made a key of. Two inputs of equal content are one job.
    let unknown = key.learn_version.is_empty()
        // The key of a job that was run anew is made of the other one's.
        || receipt.job.reproduces.is_some()
        || (key.salt.is_some() && !receipt.inputs.is_empty())
        || spec.inputs.len() != receipt.inputs.len()
        || receipt.inputs.iter().any(|input| input.receipt_sha256.is_none());
    if unknown {
        return None;
    }
    let inputs: Vec<&str> = receipt.inputs.iter().map(|input| input.content_key.as_str()).collect();
    // A job that was stored before its images were known keeps its key.
    Some([receipt.images.as_deref(), None].into_iter().any(|images| {
        let plain = content_key(&spec, images, &inputs, &key.learn_version);
        key.content_key == key.salt.as_ref().map_or_else(|| plain.clone(), |salt| fresh_key(&plain, salt))
    }))
}
