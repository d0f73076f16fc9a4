//! The range of every number in an experiment file.
//!
//! There is one table for all stages, because a key means the same in all of them. A test walks the spec types and
//! fails for a number without an entry here, and for an entry without a number.

use std::fmt;

/// The values that a key may have.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Bound {
    Whole(u64, u64),
    /// Both ends included.
    Closed(f64, f64),
    /// The lower end excluded.
    Above(f64, f64),
}

impl Bound {
    pub(super) fn holds(self, value: f64) -> bool {
        match self {
            Self::Whole(low, high) => (low as f64..=high as f64).contains(&value),
            Self::Closed(low, high) => (low..=high).contains(&value),
            Self::Above(low, high) => low < value && value <= high,
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole(low, high) => write!(f, "a whole number from {low} to {high}"),
            Self::Closed(low, high) => write!(f, "a number from {low} to {high}"),
            Self::Above(low, high) => write!(f, "a number above {low}, at most {high}"),
        }
    }
}

/// Every number of the job's table, by dotted key. Lists are bounded by the key of their elements.
pub(super) const BOUNDS: &[(&str, Bound)] = &[
    // 2^53 - 1: seeds pass through JSON, whose readers may hold numbers as doubles.
    ("seed", Bound::Whole(0, (1 << 53) - 1)),
    ("workers", Bound::Whole(1, 64)),
    ("shards", Bound::Whole(1, 256)),
    ("threads", Bound::Whole(1, 256)),
    ("epochs", Bound::Whole(1, 100_000)),
    ("batch_size", Bound::Whole(2, 65_536)),
    ("temperature", Bound::Above(0.0, 100.0)),
    ("label_fraction", Bound::Above(0.0, 1.0)),
    ("checkpoint_steps", Bound::Whole(0, 1_000_000_000)),
    ("checkpoint_minutes", Bound::Closed(0.0, 100_000.0)),
    ("ridge", Bound::Closed(0.0, 1e6)),
    ("head_layers", Bound::Whole(1, 2)),
    ("head_epochs", Bound::Closed(0.0, 100_000.0)),
    ("rate_decay", Bound::Above(0.0, 1.0)),
    ("validation", Bound::Closed(0.0, 0.5)),
    ("crop_area_min", Bound::Above(0.0, 1.0)),
    ("steps", Bound::Whole(1, 1_000_000_000)),
    ("images", Bound::Whole(0, 100_000_000)),
    ("draw_seed", Bound::Whole(0, (1 << 53) - 1)),
    ("radii", Bound::Above(0.0, 1e6)),
    ("restarts", Bound::Whole(1, 1000)),
    ("pictures", Bound::Whole(0, 64)),
    ("plb.outer", Bound::Whole(1, 10_000)),
    ("plb.inner", Bound::Whole(1, 10_000)),
    ("plb.dt", Bound::Above(0.0, 1e3)),
    ("plb.mu", Bound::Above(0.0, 1e3)),
    ("plb.alpha", Bound::Above(0.0, 1e3)),
    ("plb.beta", Bound::Above(0.0, 1.0)),
    ("plb.gamma", Bound::Above(0.0, 0.999)),
    ("head.hidden", Bound::Whole(0, 65_536)),
    ("head.output", Bound::Whole(1, 65_536)),
    ("head.layers", Bound::Whole(2, 3)),
    ("optimizer.lr", Bound::Above(0.0, 1e6)),
    ("optimizer.momentum", Bound::Closed(0.0, 0.99999)),
    ("optimizer.weight_decay", Bound::Closed(0.0, 1e3)),
    ("optimizer.trust", Bound::Above(0.0, 1e3)),
    ("optimizer.warmup_epochs", Bound::Closed(0.0, 100_000.0)),
    ("optimizer.milestones", Bound::Closed(0.0, 1.0)),
    ("optimizer.factor", Bound::Above(0.0, 1.0)),
    ("augment.pad", Bound::Whole(0, 16)),
    ("augment.crop_area_min", Bound::Above(0.0, 1.0)),
    ("augment.flip", Bound::Closed(0.0, 1.0)),
    ("augment.jitter", Bound::Closed(0.0, 1.0)),
    ("augment.brightness", Bound::Closed(0.0, 1.0)),
    ("augment.contrast", Bound::Closed(0.0, 1.0)),
    ("augment.saturation", Bound::Closed(0.0, 1.0)),
    ("augment.hue", Bound::Closed(0.0, 0.5)),
    ("augment.gray", Bound::Closed(0.0, 1.0)),
    ("tikhonov.lambda", Bound::Closed(0.0, 1e9)),
    ("tikhonov.h", Bound::Above(0.0, 1.0)),
    ("layerwise.alpha", Bound::Closed(0.0, 1e6)),
    ("layerwise.beta", Bound::Closed(0.0, 1e6)),
    ("layerwise.ratio", Bound::Above(0.0, 1e3)),
    ("layerwise.beta_ratio", Bound::Above(0.0, 1e3)),
    ("monitor.every_epochs", Bound::Whole(0, 100_000)),
    ("monitor.neighbours", Bound::Whole(1, 10_000)),
    ("monitor.bank", Bound::Whole(1, 10_000_000)),
];

/// The most values of a list: no sensible one comes near.
pub(super) const LIST_MAX: usize = 1000;

pub(super) fn of(key: &str) -> Option<Bound> {
    BOUNDS.iter().find(|(name, _)| *name == key).map(|(_, bound)| *bound)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::{Value, json};

    use super::*;
    use crate::spec::Stage;

    /// Every stage with every table spelled out.
    fn stages() -> Vec<Value> {
        let full = [
            json!({"stage": "contrastive", "encoder": "resnet18", "epochs": 1, "batch_size": 2,
                   "checkpoint_minutes": 5.0, "head": {"layers": 3}, "validation": 0.1,
                   "layerwise": {"alpha": [1.0], "beta": [1.0], "ratio": 2.0, "beta_ratio": 2.0}}),
            json!({"stage": "supervised", "encoder": "resnet18", "steps": 1}),
            json!({"stage": "linear", "ridge": 1e-3}),
            json!({"stage": "finetune"}),
            json!({"stage": "attack", "attack": "plb", "norm": "l2", "radii": [0.1], "steps": 5, "images": 5,
                   "draw_seed": 1}),
        ];
        full.map(|stage| serde_json::to_value(serde_json::from_value::<Stage>(stage).unwrap()).unwrap()).into()
    }

    fn numbers(value: &Value, key: &str, found: &mut BTreeSet<(String, bool)>) {
        match value {
            Value::Number(number) => drop(found.insert((key.to_owned(), number.is_f64()))),
            Value::Array(values) => values.iter().for_each(|value| numbers(value, key, found)),
            Value::Object(table) => {
                for (name, value) in table {
                    let key = if key.is_empty() { name.clone() } else { format!("{key}.{name}") };
                    numbers(value, &key, found);
                }
            }
            _ => {}
        }
    }

    #[test]
    fn every_number_of_the_spec_is_bounded_and_every_bound_is_of_use() {
        let mut found = BTreeSet::new();
        stages().iter().for_each(|stage| numbers(stage, "", &mut found));
        for (key, real) in &found {
            let bound = of(key).unwrap_or_else(|| panic!("`{key}` has no bound"));
            assert_eq!(*real, !matches!(bound, Bound::Whole(..)), "`{key}` is bounded as another kind of number");
        }
        let common = ["seed", "workers", "shards", "threads"];
        for (key, _) in BOUNDS {
            assert!(common.contains(key) || found.iter().any(|(name, _)| name == key), "`{key}` is no number");
        }
    }

    #[test]
    fn the_defaults_are_within_their_bounds() {
        fn check(value: &Value, key: &str) {
            match value {
                Value::Number(number) => assert!(of(key).unwrap().holds(number.as_f64().unwrap()), "{key} = {number}"),
                Value::Array(values) => values.iter().for_each(|value| check(value, key)),
                Value::Object(table) => {
                    table
                        .iter()
                        .for_each(|(name, value)| check(value, format!("{key}.{name}").trim_start_matches('.')));
                }
                _ => {}
            }
        }
        stages().iter().for_each(|stage| check(stage, ""));
    }

    #[test]
    fn ends() {
        assert!(!Bound::Above(0.0, 1.0).holds(0.0) && Bound::Above(0.0, 1.0).holds(1.0));
        assert!(Bound::Closed(0.0, 1.0).holds(0.0) && !Bound::Closed(0.0, 1.0).holds(1.1));
        assert!(!Bound::Closed(0.0, 1.0).holds(f64::NAN) && !Bound::Above(0.0, 1e6).holds(f64::INFINITY));
    }
}
