//! Which arithmetic a job's `precision` allows. One test in a process of its own, since the setting is global.
#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use std::sync::atomic::AtomicBool;

use serde_json::json;
use tandem_collective::{ProcessGroup, cuda};
use tandem_domain::spec::Stage;
use tandem_learn::report::Event;
use tandem_learn::run;
use tandem_learn::task::Task;

/// Whether convolutions and matrix products may use TF32 once such a job has started. It fails, as it has no data.
fn tf32_of(stage: serde_json::Value) -> (bool, bool) {
    let folder = tempfile::tempdir().unwrap();
    let spec = json!({
        "name": "job", "dataset": "cifar10", "seed": 1, "workers": {"min": 1, "max": 1}, "shards": 1, "threads": 1,
        "inputs": [], "stage": serde_json::from_value::<Stage>(stage).unwrap(),
    });
    let task = Task {
        job_id: "job".into(),
        attempt_id: "attempt".into(),
        fence: 1,
        rank: 0,
        world_size: 1,
        spec: serde_json::from_value(spec).unwrap(),
        device: "cpu".into(),
        data_dir: folder.path().join("data"),
        stored_data: None,
        replay: None,
        job_dir: folder.path().join("job"),
        inputs: vec![],
        checkpoints: vec![],
        images: String::new(),
        store_id: String::new(),
        host: "127.0.0.1".into(),
        meet_ports: None,
        timing: String::new(),
    };
    run(&task, &ProcessGroup::alone(), &mut |_: Event| {}, &AtomicBool::new(false)).unwrap_err();
    cuda::tf32().unwrap()
}

#[test]
fn only_tf32_is_tf32() {
    let encoder = |precision: &str| {
        tf32_of(json!({
            "stage": "contrastive", "encoder": "resnet-tiny", "epochs": 1, "batch_size": 8, "precision": precision
        }))
    };
    assert_eq!(encoder("f32"), (false, false), "libtorch's default is (true, false)");
    assert_eq!(encoder("tf32"), (true, true));
    assert_eq!(tf32_of(json!({"stage": "linear"})), (false, false), "it has no precision");
    assert_eq!(encoder("tf32"), (true, true));
    assert_eq!(encoder("bf16"), (false, false));
}
