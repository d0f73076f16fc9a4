//! Domain to wire by `From`, which cannot fail; wire to domain by functions whose errors name the field.
//!
//! Prost represents enum fields as `i32` and messages as `Option`: readers convert them once, here, to domain types.

use chrono::{DateTime, Utc};
pub use prost_types::Timestamp;
use tandem_domain::images::SeenDataset;
use tandem_domain::plan::{Estimate, PlannedJob};
use tandem_domain::spec::JobSpec;
use tandem_domain::state::{AttemptState, JobState, RankOutcome};
use uuid::Uuid;

use crate::status::Code;
use crate::v1;

/// An invalid message, such as no peer of this version sends.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("field `{field}`: {problem}")]
pub struct WireError {
    pub field: &'static str,
    pub problem: String,
}

impl WireError {
    fn new(field: &'static str, problem: impl Into<String>) -> Self {
        Self { field, problem: problem.into() }
    }
}

impl From<WireError> for tonic::Status {
    fn from(error: WireError) -> Self {
        Code::InvalidInput.status(format!("cannot read the message: {error}"))
    }
}

/// Conversions both ways between a state of the domain and the wire's enum with the same labels.
macro_rules! states {
    ($domain:ident, $wire:ident, $from_wire:ident, { $($variant:ident),+ $(,)? }) => {
        impl From<$domain> for v1::$wire {
            fn from(state: $domain) -> Self {
                match state { $($domain::$variant => Self::$variant),+ }
            }
        }

        #[doc = concat!("Reads a field of type `", stringify!($wire), "`; unspecified and unknown numbers are refused.")]
        pub fn $from_wire(field: &'static str, number: i32) -> Result<$domain, WireError> {
            match v1::$wire::try_from(number) {
                $(Ok(v1::$wire::$variant) => Ok($domain::$variant),)+
                Ok(v1::$wire::Unspecified) => Err(WireError::new(field, "is not set")),
                Err(_) => Err(WireError::new(field, format!("unknown number {number}"))),
            }
        }
    };
}

states!(JobState, JobState, job_state, { Blocked, Queued, Paused, Running, Succeeded, Failed, Cancelled });
states!(AttemptState, AttemptState, attempt_state, {
    Assigned, Starting, Training, Verifying, Succeeded, Failed, Lost, Preempted, Cancelled,
});
states!(RankOutcome, RankOutcome, rank_outcome, { Succeeded, JobFailed, Lost, Unknown, InputMissing, PeerLost, Preempted, Cancelled });

impl From<SeenDataset> for v1::Dataset {
    fn from(SeenDataset { name, sha256, classes, train, test, problem, stored }: SeenDataset) -> Self {
        Self { name, sha256, classes, train, test, problem, stored }
    }
}

impl From<v1::Dataset> for SeenDataset {
    fn from(v1::Dataset { name, sha256, classes, train, test, problem, stored }: v1::Dataset) -> Self {
        Self { name, sha256, classes, train, test, problem, stored }
    }
}

/// Converts a time to the wire, without loss: Postgres and the domain have microseconds.
pub fn timestamp(moment: DateTime<Utc>) -> Timestamp {
    // chrono counts a leap second as more than 10^9 ns, which the wire forbids.
    let nanos = moment.timestamp_subsec_nanos().min(999_999_999);
    Timestamp { seconds: moment.timestamp(), nanos: nanos as i32 }
}

/// Converts a time from the wire; a missing one is an error.
pub fn moment(field: &'static str, timestamp: Option<Timestamp>) -> Result<DateTime<Utc>, WireError> {
    optional_moment(field, timestamp)?.ok_or_else(|| WireError::new(field, "is not set"))
}

/// Converts a time from the wire that may be missing.
pub fn optional_moment(field: &'static str, timestamp: Option<Timestamp>) -> Result<Option<DateTime<Utc>>, WireError> {
    let Some(Timestamp { seconds, nanos }) = timestamp else { return Ok(None) };
    let moment = u32::try_from(nanos).ok().and_then(|nanos| DateTime::from_timestamp(seconds, nanos));
    moment.map(Some).ok_or_else(|| WireError::new(field, format!("no moment: {seconds} s and {nanos} ns")))
}

pub fn uuid(field: &'static str, text: &str) -> Result<Uuid, WireError> {
    text.parse().map_err(|error| WireError::new(field, format!("{text:?} is no UUID: {error}")))
}

/// The JSON form of a job, as stored in Postgres and given to a rank.
pub fn spec_json(spec: &JobSpec) -> String {
    // The spec has string keys and finite numbers only.
    serde_json::to_string(spec).expect("a checked spec is JSON")
}

/// The reverse of [`spec_json`].
pub fn spec(field: &'static str, json: &str) -> Result<JobSpec, WireError> {
    serde_json::from_str(json).map_err(|error| WireError::new(field, format!("no job of this version: {error}")))
}

/// `job_id`, `reused` and `reused_state` are not set: only the coordinator knows them.
impl From<&PlannedJob> for v1::PlannedJob {
    fn from(job: &PlannedJob) -> Self {
        Self {
            job_id: String::new(),
            name: job.spec.name.clone(),
            stage: job.spec.stage.name().to_owned(),
            inputs: job.spec.inputs.clone(),
            workers_min: job.spec.workers.min,
            workers_max: job.spec.workers.max,
            shards: job.spec.shards,
            content_key: job.content_key.clone(),
            reused: false,
            reused_state: 0,
            estimate: Some(job.estimate.into()),
            refusal: job.refusal.clone().unwrap_or_default(),
        }
    }
}

/// `seconds` and `basis` are not set: the coordinator adds them from measured speeds.
impl From<Estimate> for v1::Estimate {
    fn from(estimate: Estimate) -> Self {
        Self {
            steps: estimate.steps,
            images_per_epoch: estimate.images_per_epoch,
            images: estimate.images,
            parameters: estimate.parameters,
            gflop: estimate.gflop,
            memory_bytes: estimate.memory_bytes,
            seconds: 0.0,
            basis: String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_go_both_ways_under_the_same_words() {
        for &state in JobState::ALL {
            let wire = v1::JobState::from(state);
            assert_eq!(job_state("state", wire as i32), Ok(state));
            assert_eq!(wire.as_str_name(), format!("JOB_STATE_{}", state.label().to_uppercase()));
        }
        for &state in AttemptState::ALL {
            let wire = v1::AttemptState::from(state);
            assert_eq!(attempt_state("state", wire as i32), Ok(state));
            assert_eq!(wire.as_str_name(), format!("ATTEMPT_STATE_{}", state.label().to_uppercase()));
        }
        for &outcome in RankOutcome::ALL {
            let wire = v1::RankOutcome::from(outcome);
            assert_eq!(rank_outcome("outcome", wire as i32), Ok(outcome));
            assert_eq!(wire.as_str_name(), format!("RANK_OUTCOME_{}", outcome.label().to_uppercase()));
        }
    }

    #[test]
    fn unset_and_unknown_states_are_refused_by_name() {
        assert_eq!(job_state("job.state", 0).unwrap_err().to_string(), "field `job.state`: is not set");
        assert_eq!(rank_outcome("outcome", 99).unwrap_err().to_string(), "field `outcome`: unknown number 99");
    }

    #[test]
    fn moments_go_both_ways_and_wild_ones_are_refused() {
        let now = DateTime::from_timestamp(1_700_000_000, 123_456_000).unwrap();
        assert_eq!(moment("at", Some(timestamp(now))), Ok(now));
        let before_1970 = DateTime::from_timestamp(-1, 500_000_000).unwrap();
        assert_eq!(moment("at", Some(timestamp(before_1970))), Ok(before_1970));
        assert_eq!(optional_moment("at", None), Ok(None));
        for wild in [(i64::MAX, 0), (0, -1), (0, i32::MAX)] {
            assert!(moment("at", Some(Timestamp { seconds: wild.0, nanos: wild.1 })).is_err(), "{wild:?}");
        }
        assert!(moment("at", None).is_err());
    }

    #[test]
    fn a_bad_message_is_the_senders_fault() {
        let error = uuid("job_id", "x").unwrap_err();
        let status = tonic::Status::from(error);
        assert_eq!(status.code(), tonic::Code::InvalidArgument);
        assert!(status.message().contains("field `job_id`: \"x\" is no UUID"), "{}", status.message());
        assert!(spec("spec_json", "{}").unwrap_err().to_string().contains("missing field"));
    }

    #[test]
    fn planned_jobs_and_their_specs_survive_the_wire() {
        let text = "name = \"n\"\ndataset = \"shapes\"\nworkers = \"1..2\"\n[jobs.e]\nstage = \"contrastive\"\n\
                    encoder = \"resnet-tiny\"\nepochs = 2\nbatch_size = 64\nbatch_norm = \"global\"\n";
        let mut plan = tandem_domain::plan::plan(text, "n.toml", "1").unwrap();
        plan.jobs[0].refusal = Some("too many workers".to_owned());
        let job = &plan.jobs[0];
        let wire = v1::PlannedJob::from(job);
        assert_eq!((wire.workers_min, wire.workers_max, wire.shards), (1, 2, 2));
        assert_eq!((wire.stage.as_str(), wire.inputs.len()), ("contrastive", 0));
        assert_eq!(wire.refusal, job.refusal.as_deref().unwrap());
        assert_eq!(wire.estimate.unwrap().steps, job.estimate.steps);
        assert_eq!(spec("spec_json", &spec_json(&job.spec)).as_ref(), Ok(&job.spec));
    }
}
