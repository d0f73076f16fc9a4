//! What an experiment file can say and this version cannot run yet.

use crate::spec::{BatchNorm, Contrastive, Encoder, JobSpec, LinearSolver, OptimizerName, Stage};

/// Why this version cannot run a job, or `None` if it can.
pub(super) fn refusal(spec: &JobSpec) -> Option<String> {
    match &spec.stage {
        Stage::Contrastive(stage) => contrastive(stage),
        Stage::Linear(stage) => match stage.solver {
            LinearSolver::Lbfgs => None,
            LinearSolver::Sgd => Some(not_yet("`solver = \"sgd\"`", "use \"lbfgs\"")),
        },
        Stage::Supervised(_) | Stage::Finetune(_) | Stage::Attack(_) => {
            let what = format!("stage `{}`", spec.stage.name());
            Some(not_yet(&what, "leave the job out to submit the others"))
        }
    }
}

fn contrastive(stage: &Contrastive) -> Option<String> {
    if stage.encoder == Encoder::ResNetPaper {
        Some(not_yet("`encoder = \"resnet-paper\"`", "use resnet18, resnet34, resnet50 or resnet-tiny"))
    } else if stage.optimizer.name == OptimizerName::Adam {
        Some(not_yet("`optimizer.name = \"adam\"`", "use \"lars\" or \"sgd\""))
    } else if stage.batch_norm == BatchNorm::Global {
        Some(not_yet("`batch_norm = \"global\"`", "use \"shard\""))
    } else if stage.tikhonov.lambda > 0.0 {
        Some(not_yet("`tikhonov.lambda` above 0", "set it to 0"))
    } else if stage.layerwise.is_some() {
        Some(not_yet("`layerwise`", "leave the table out"))
    } else {
        None
    }
}

fn not_yet(what: &str, instead: &str) -> String {
    format!("{what} cannot run yet in this version; {instead}")
}
