//! What a rank says about its end.

use tandem_domain::state::RankOutcome;

/// `crashes`: the job's spec makes any rank crash.
pub fn cause(crashes: bool, worker: usize, outcome: RankOutcome) -> String {
    match outcome {
        RankOutcome::Unknown if crashes => "the spec makes libtorch crash".to_owned(),
        RankOutcome::Unknown => format!("a device error of w{worker}"),
        outcome => outcome.label().to_owned(),
    }
}
