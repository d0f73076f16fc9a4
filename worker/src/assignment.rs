//! Turns the coordinator's assignment into a rank's task: checked here once, and trusted from then on.

use std::path::{Component, Path, PathBuf};

use tandem_collective::PortRange;
use tandem_domain::spec::JobSpec;
use tandem_images::packed;
use tandem_learn::task::{CheckpointRef, InputFile, Replay, Task};
use tandem_proto::v1::{self, Assignment};
use uuid::Uuid;

/// What this worker adds to every task.
#[derive(Clone, Debug)]
pub(crate) struct WorkerContext {
    /// "cpu" or "cuda:0", as the rank sees it.
    pub(crate) device: String,
    pub(crate) data_dir: PathBuf,
    /// Root of checkpoints and artifacts.
    pub(crate) store: PathBuf,
    /// What it is known by; empty if the coordinator has not said.
    pub(crate) store_id: String,
    /// Address on which ranks meet.
    pub(crate) host: String,
    /// Ports on which they listen for each other; any if `None`.
    pub(crate) meet_ports: Option<PortRange>,
    /// Name of the profile of timeouts.
    pub(crate) timing: &'static str,
}

/// The folder behind the coordinator's `store_url`.
pub(crate) fn store_folder(url: &str) -> Result<PathBuf, String> {
    let path = Path::new(url.strip_prefix("file://").unwrap_or(url));
    if !path.is_absolute() {
        return Err(format!(
            "the coordinator keeps checkpoints and artifacts at `{url}`; this worker can only use a folder that both \
             see (file:///...)"
        ));
    }
    Ok(path.to_owned())
}

/// One rank's task. The error says what is wrong with the assignment.
pub(crate) fn task(assignment: &Assignment, context: &WorkerContext) -> Result<Task, String> {
    // It becomes part of a path.
    let job_id = Uuid::parse_str(&assignment.job_id)
        .map_err(|error| format!("assignment: job id `{}` is no UUID: {error}", assignment.job_id))?;
    let spec: JobSpec = serde_json::from_str(&assignment.spec_json).map_err(|error| {
        format!(
            "this worker (version {}) cannot read the job's spec: {error}; it is older or newer than the coordinator: \
             update the one that is behind",
            env!("CARGO_PKG_VERSION")
        )
    })?;
    if assignment.rank >= assignment.world_size {
        return Err(format!("assignment: rank {} of world size {}", assignment.rank, assignment.world_size));
    }
    let inputs = assignment.inputs.iter().map(|artifact| {
        let path = in_store(&artifact.uri, &context.store)?;
        Ok(InputFile { kind: artifact.kind.clone(), path, sha256: artifact.sha256.clone() })
    });
    let checkpoints = assignment.checkpoints.iter().map(|checkpoint| {
        let path = in_store(&checkpoint.path, &context.store)?;
        Ok(CheckpointRef { step: checkpoint.step, path, sha256: checkpoint.sha256.clone() })
    });
    Ok(Task {
        job_id: assignment.job_id.clone(),
        attempt_id: assignment.attempt_id.clone(),
        fence: assignment.fence,
        rank: assignment.rank,
        world_size: assignment.world_size,
        spec,
        device: context.device.clone(),
        data_dir: context.data_dir.clone(),
        stored_data: Some(context.store.join(packed::FOLDER)),
        job_dir: context.store.join("jobs").join(job_id.to_string()),
        inputs: inputs.collect::<Result<_, String>>()?,
        checkpoints: checkpoints.collect::<Result<_, String>>()?,
        replay: assignment.replay.as_ref().map(|replay| in_task(replay, &context.store)).transpose()?,
        images: assignment.images_sha256.clone(),
        store_id: context.store_id.clone(),
        host: context.host.clone(),
        meet_ports: context.meet_ports,
        timing: context.timing.to_owned(),
    })
}

fn in_task(replay: &v1::Replay, store: &Path) -> Result<Replay, String> {
    let model = replay.model.as_ref().map(|artifact| {
        let path = in_store(&artifact.uri, store)?;
        Ok::<_, String>(InputFile { kind: artifact.kind.clone(), path, sha256: artifact.sha256.clone() })
    });
    Ok(Replay { until_step: replay.until_step, model: model.transpose()? })
}

/// The file behind a name in the store: relative to its root, or a `file://` URL. Nothing outside the store.
fn in_store(name: &str, store: &Path) -> Result<PathBuf, String> {
    let path = store.join(name.strip_prefix("file://").unwrap_or(name));
    let climbs = path.components().any(|part| part == Component::ParentDir);
    if climbs || !path.starts_with(store) {
        return Err(format!("`{name}` is not in the store ({})", store.display()));
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use tandem_domain::spec::{Contrastive, Dataset, Encoder, Stage, Workers};
    use tandem_proto::v1::{Artifact, Checkpoint};

    use super::*;

    const JOB: &str = "0198c5a2-6f4e-7c3a-9d52-0a1b2c3d4e5f";

    fn context() -> WorkerContext {
        let host = "127.0.0.1".to_owned();
        WorkerContext {
            device: "cpu".to_owned(),
            data_dir: "/data".into(),
            store: "/srv/store".into(),
            store_id: "7".to_owned(),
            host,
            meet_ports: Some("29500-29531".parse().unwrap()),
            timing: "fast",
        }
    }

    fn assignment() -> Assignment {
        let contrastive: Contrastive =
            serde_json::from_str(r#"{"encoder": "resnet-tiny", "epochs": 1, "batch_size": 64}"#).unwrap();
        assert_eq!(contrastive.encoder, Encoder::ResNetTiny);
        let spec = JobSpec {
            name: "encoder".to_owned(),
            dataset: Dataset::Shapes,
            seed: 1,
            workers: Workers { min: 2, max: 2 },
            shards: 2,
            threads: 1,
            inputs: Vec::new(),
            stage: Stage::Contrastive(contrastive),
        };
        Assignment {
            attempt_id: "a".to_owned(),
            job_id: JOB.to_owned(),
            fence: 12,
            number: 1,
            rank: 1,
            world_size: 2,
            spec_json: serde_json::to_string(&spec).unwrap(),
            inputs: vec![Artifact {
                kind: "encoder".to_owned(),
                uri: "jobs/1/encoder.safetensors".to_owned(),
                ..Default::default()
            }],
            checkpoints: vec![Checkpoint {
                step: 9,
                path: "file:///srv/store/jobs/2/step-00000009".to_owned(),
                ..Default::default()
            }],
            images_sha256: String::new(),
            replay: None,
        }
    }

    #[test]
    fn names_in_the_store_become_paths_here() {
        let task = task(&assignment(), &context()).unwrap();
        assert_eq!(task.job_dir, Path::new("/srv/store/jobs").join(JOB));
        assert_eq!(task.inputs[0].path, Path::new("/srv/store/jobs/1/encoder.safetensors"));
        assert_eq!(task.checkpoints[0].path, Path::new("/srv/store/jobs/2/step-00000009"));
        assert_eq!((task.rank, task.world_size, task.fence), (1, 2, 12));
        assert_eq!(task.timing, "fast");
        assert_eq!(task.meet_ports, context().meet_ports);
    }

    #[test]
    fn a_replay_ends_at_its_step_and_evaluates_a_file_of_the_store() {
        let replay = |uri: &str| {
            let model = v1::Artifact { kind: "encoder".to_owned(), uri: uri.to_owned(), ..Default::default() };
            let replay = Some(v1::Replay { until_step: 40, model: Some(model) });
            task(&Assignment { replay, ..assignment() }, &context())
        };
        let replayed = replay("jobs/1/encoder.safetensors").unwrap().replay.unwrap();
        assert_eq!(replayed.until_step, 40);
        assert_eq!(replayed.model.unwrap().path, Path::new("/srv/store/jobs/1/encoder.safetensors"));
        assert!(replay("../encoder").unwrap_err().contains("is not in the store"));
    }

    #[test]
    fn nothing_leads_out_of_the_store() {
        for name in ["../../etc/passwd", "/etc/passwd", "file:///etc/passwd", "jobs/../../x"] {
            let mut outside = assignment();
            outside.inputs[0].uri = name.to_owned();
            let error = task(&outside, &context()).unwrap_err();
            assert!(error.contains(name) && error.contains("/srv/store"), "{error}");
        }
        let job_id = "../../tmp".to_owned();
        assert!(task(&Assignment { job_id, ..assignment() }, &context()).unwrap_err().contains("UUID"));
    }

    #[test]
    fn an_unreadable_spec_names_the_version() {
        let spec_json = r#"{"name": "from the future"}"#.to_owned();
        let error = task(&Assignment { spec_json, ..assignment() }, &context()).unwrap_err();
        assert!(error.contains("version"), "{error}");
        assert!(task(&Assignment { rank: 2, ..assignment() }, &context()).is_err());
    }

    #[test]
    fn a_store_is_a_folder() {
        assert_eq!(store_folder("file:///srv/store"), Ok(PathBuf::from("/srv/store")));
        assert_eq!(store_folder("/srv/store"), Ok(PathBuf::from("/srv/store")));
        assert!(store_folder("s3://bucket/tandem").unwrap_err().contains("s3://bucket/tandem"));
    }
}
