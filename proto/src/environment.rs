//! What a rank runs in, to the wire and back. What comes from there is bounded.

use tandem_domain::receipt::{Device, Environment};

use crate::v1;

/// The longest text, in bytes; libtorch's own words about its build are a few hundred.
const TEXT_MAX: usize = 4096;
/// The most processor features.
const FEATURES_MAX: usize = 100;

impl From<Environment> for v1::EnvironmentEvent {
    fn from(environment: Environment) -> Self {
        let device = environment.device;
        Self {
            worker: environment.worker,
            host: environment.host,
            device: Some(v1::Device {
                kind: device.kind,
                name: device.name,
                uuid: device.uuid,
                driver: device.driver,
                memory_bytes: device.memory_bytes,
                ..v1::Device::default()
            }),
            processor: environment.processor,
            processor_features: environment.processor_features,
            instructions: environment.instructions,
            libtorch: environment.libtorch,
            libtorch_build: environment.libtorch_build,
            threads: environment.threads,
            version: environment.version,
            binary_sha256: environment.binary_sha256,
            learn_version: environment.learn_version,
        }
    }
}

impl From<&v1::EnvironmentEvent> for Environment {
    fn from(event: &v1::EnvironmentEvent) -> Self {
        let device = event.device.clone().unwrap_or_default();
        Self {
            worker: text(&event.worker),
            host: text(&event.host),
            device: Device {
                kind: text(&device.kind),
                name: text(&device.name),
                uuid: text(&device.uuid),
                driver: text(&device.driver),
                memory_bytes: device.memory_bytes,
            },
            processor: text(&event.processor),
            processor_features: event.processor_features.iter().take(FEATURES_MAX).map(|name| text(name)).collect(),
            instructions: text(&event.instructions),
            libtorch: text(&event.libtorch),
            libtorch_build: text(&event.libtorch_build),
            threads: event.threads,
            version: text(&event.version),
            binary_sha256: text(&event.binary_sha256),
            learn_version: text(&event.learn_version),
        }
    }
}

/// Postgres stores no zero byte.
fn text(text: &str) -> String {
    text[..text.floor_char_boundary(TEXT_MAX)].replace('\0', "\u{fffd}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_environment_comes_back_and_is_bounded() {
        let environment = Environment {
            worker: "cpu-0".to_owned(),
            device: Device { kind: "cpu".to_owned(), memory_bytes: 7, ..Device::default() },
            processor_features: vec!["avx2".to_owned()],
            threads: 3,
            binary_sha256: "ab".to_owned(),
            ..Environment::default()
        };
        assert_eq!(Environment::from(&v1::EnvironmentEvent::from(environment.clone())), environment);
        let libtorch_build = format!("a\0b{}", "é".repeat(5000));
        let many = v1::EnvironmentEvent {
            libtorch_build,
            processor_features: vec![String::new(); 1000],
            ..v1::EnvironmentEvent::default()
        };
        let read = Environment::from(&many);
        assert!(read.libtorch_build.starts_with("a\u{fffd}b") && read.libtorch_build.len() <= TEXT_MAX + 2);
        assert_eq!(read.processor_features.len(), FEATURES_MAX);
    }
}
