//! What is written down of a stage, and what is left out.

use serde_json::{Value, json};

use super::*;

#[test]
fn newer_keys_are_written_down_only_where_they_say_something() {
    let stored = |own: Value| {
        let mut written = json!({"stage": "contrastive", "encoder": "resnet18", "epochs": 1, "batch_size": 2});
        written.as_object_mut().unwrap().extend(own.as_object().unwrap().clone());
        serde_json::to_value(serde_json::from_value::<Stage>(written).unwrap()).unwrap()
    };
    // The content of a job that was stored before there were these keys is what it was.
    let plain = stored(json!({}));
    assert_eq!(plain["head"], json!({"hidden": 0, "output": 128}));
    assert_eq!((plain.get("views"), plain.get("validation"), plain["augment"].get("gray_weights")), (None, None, None));
    let defaults = json!({"views": "together", "validation": 0.0, "augment": {"gray_weights": "luma"},
                          "head": {"layers": 2, "norm": "hidden"}});
    assert_eq!(stored(defaults), plain);
    let other = stored(json!({"views": "apart", "validation": 0.05, "augment": {"gray_weights": "mean"},
                              "head": {"layers": 3, "norm": "all"}}));
    assert_eq!((&other["views"], &other["augment"]["gray_weights"]), (&json!("apart"), &json!("mean")));
    assert_eq!((&other["head"]["layers"], &other["head"]["norm"]), (&json!(3), &json!("all")));
    assert_eq!(other["validation"], 0.05);
}

#[test]
fn minutes_between_checkpoints_are_written_down_only_where_somebody_wrote_them() {
    for stage in ["contrastive", "supervised", "finetune"] {
        let stored = |minutes: Value| {
            let mut written = json!({"stage": stage, "encoder": "resnet18", "epochs": 1, "batch_size": 2});
            if stage == "finetune" {
                written.as_object_mut().unwrap().remove("encoder");
            }
            if !minutes.is_null() {
                written["checkpoint_minutes"] = minutes;
            }
            serde_json::to_value(serde_json::from_value::<Stage>(written).unwrap()).unwrap()
        };
        // The content of a job that was stored before there was this key is what it was.
        assert_eq!(stored(Value::Null).get("checkpoint_minutes"), None, "{stage}");
        assert_eq!(stored(json!(0.0)), stored(Value::Null), "{stage}");
        assert_eq!(stored(json!(2.5))["checkpoint_minutes"], 2.5, "{stage}");
    }
}
