//! What an experiment file can say and this version cannot run yet.

use crate::spec::{BatchNorm, JobSpec, Precision, Stage};

/// Why this version cannot run a job, or `None` if it can.
pub(super) fn refusal(spec: &JobSpec) -> Option<String> {
    let (batch_norm, precision) = match &spec.stage {
        Stage::Contrastive(stage) => (stage.batch_norm, stage.precision),
        Stage::Supervised(stage) => (stage.batch_norm, stage.precision),
        Stage::Finetune(stage) => (stage.batch_norm, stage.precision),
        Stage::Linear(_) | Stage::Attack(_) => return None,
    };
    if batch_norm == BatchNorm::Global {
        Some(not_yet("`batch_norm = \"global\"`", "use \"shard\""))
    } else if precision == Precision::Bf16 {
        Some(not_yet("`precision = \"bf16\"`", "use \"f32\""))
    } else {
        None
    }
}

fn not_yet(what: &str, instead: &str) -> String {
    format!("{what} cannot run yet in this version; {instead}")
}
