//! What a rank ran in: what of it decides the bits, and by which program.

use serde::{Deserialize, Serialize};

/// As the worker of a rank reported it when the rank had started.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Environment {
    pub worker: String,
    pub host: String,
    pub device: Device,
    /// The processor by its name.
    pub processor: String,
    /// Its instruction sets that arithmetic may use, as Linux names them, sorted.
    pub processor_features: Vec<String>,
    /// The instruction set that libtorch's own kernels chose: "AVX2".
    pub instructions: String,
    /// Version of libtorch.
    pub libtorch: String,
    /// How that was built: compiler, libraries, flags, in its own words.
    pub libtorch_build: String,
    /// CPU threads of one shard.
    pub threads: u32,
    /// Of the program of worker and rank.
    pub version: String,
    /// Of that program's file; empty if it could not be read.
    pub binary_sha256: String,
    /// Version of what training computes.
    pub learn_version: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Device {
    /// "cpu" or "cuda".
    pub kind: String,
    pub name: String,
    /// Empty of a CPU slot.
    pub uuid: String,
    pub driver: String,
    pub memory_bytes: u64,
}

/// In what two environments are not of the same kind, in words: nothing where equal bits are promised.
pub fn kind_differences(one: &Environment, other: &Environment) -> Vec<String> {
    let named = [
        ("kind of device", &one.device.kind, &other.device.kind),
        ("device", &one.device.name, &other.device.name),
        ("driver", &one.device.driver, &other.device.driver),
        ("processor", &one.processor, &other.processor),
        ("instruction set of libtorch", &one.instructions, &other.instructions),
        ("libtorch", &one.libtorch, &other.libtorch),
        ("version of training", &one.learn_version, &other.learn_version),
    ];
    let mut found: Vec<String> = named
        .into_iter()
        .filter(|(_, one, other)| one != other)
        .map(|(what, one, other)| format!("{what}: {}, then {}", shown(one), shown(other)))
        .collect();
    if one.threads != other.threads {
        found.push(format!("threads of a shard: {}, then {}", one.threads, other.threads));
    }
    if one.libtorch_build != other.libtorch_build {
        found.push("build of libtorch".to_owned());
    }
    let lacks = |has: &Environment, lacks: &Environment| {
        let missing = has.processor_features.iter().filter(|feature| !lacks.processor_features.contains(feature));
        missing.cloned().collect::<Vec<_>>().join(", ")
    };
    for (only, when) in [(lacks(one, other), "only the first time"), (lacks(other, one), "only the second time")] {
        if !only.is_empty() {
            found.push(format!("processor features {when}: {only}"));
        }
    }
    found
}

fn shown(text: &str) -> &str {
    if text.is_empty() { "not known" } else { text }
}
