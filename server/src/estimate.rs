//! How long a planned job will take, judged by the newest job that is like it; silent where there is none.

use serde_json::json;
use tandem_domain::{plan::PlannedJob, spec::Stage};

use crate::{
    error::Result,
    store::{
        Conn,
        measures::{Precedent, precedent},
    },
};

/// A time and where it comes from, for a person.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Duration {
    /// 0 where nothing is known.
    pub(crate) seconds: f64,
    pub(crate) basis: String,
}

/// Contrastive jobs by the images a second of the same encoder, others by the seconds of the same work.
pub(crate) async fn estimate(conn: &mut Conn, job: &PlannedJob) -> Result<Duration> {
    let dataset = job.spec.dataset.to_string();
    let duration = match &job.spec.stage {
        Stage::Contrastive(stage) => {
            let alike = json!({ "stage": "contrastive", "encoder": stage.encoder });
            let speed = precedent(conn, "images_per_second", &alike, None).await?;
            let images = job.estimate.images_per_epoch as f64 * f64::from(stage.epochs);
            speed.map(|Precedent { value, source }| Duration {
                seconds: images / value,
                basis: format!("{value:.0} images/s, as `{source}` ran"),
            })
        }
        Stage::Linear(stage) => {
            let alike = json!({ "stage": "linear", "label_fraction": stage.label_fraction });
            let took = precedent(conn, "seconds", &alike, Some(&dataset)).await?;
            took.map(|Precedent { value, source }| Duration { seconds: value, basis: format!("as `{source}` took") })
        }
        Stage::Supervised(_) | Stage::Finetune(_) | Stage::Attack(_) => None,
    };
    Ok(duration.unwrap_or_default())
}
