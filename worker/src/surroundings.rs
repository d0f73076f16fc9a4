//! What this worker adds to its ranks' environment: names, device, program. A rank is this program again.

use std::{fs::File, io, thread, time::Duration};

use sha2::{Digest, Sha256};
use tandem_proto::v1;
use tokio::{sync::oneshot, time::timeout};

/// Of this program, also if another version lies in its place by now.
const PROGRAM: &str = "/proc/self/exe";
/// A disk that takes longer for one file has other worries.
const READ_WITHIN: Duration = Duration::from_secs(10);

#[derive(Clone, Debug, Default)]
pub(crate) struct Surroundings {
    worker: String,
    host: String,
    device: v1::Device,
    binary_sha256: String,
}

impl Surroundings {
    /// Reads the program's file; what cannot be read is not known.
    pub(crate) async fn read(worker: String, host: String, device: v1::Device) -> Self {
        let (sender, receiver) = oneshot::channel();
        // Not the runtime's pool: at the end of the process that is waited for.
        let reading = thread::Builder::new().spawn(move || sender.send(sha256_of(PROGRAM)));
        let read = match reading {
            Ok(_) => timeout(READ_WITHIN, receiver).await.map_or_else(
                |_| Err(io::Error::new(io::ErrorKind::TimedOut, "its disk does not answer")),
                |read| read.unwrap_or_else(|error| Err(io::Error::other(error))),
            ),
            Err(error) => Err(error),
        };
        Self::of(worker, host, device, read)
    }

    /// The same where nobody else waits.
    pub(crate) fn read_here(worker: String, host: String, device: v1::Device) -> Self {
        Self::of(worker, host, device, sha256_of(PROGRAM))
    }

    fn of(worker: String, host: String, device: v1::Device, read: io::Result<String>) -> Self {
        let binary_sha256 = read.unwrap_or_else(|error| {
            tracing::warn!(%error, "cannot read this program's own file: receipts will not name its SHA-256");
            String::new()
        });
        Self { worker, host, device, binary_sha256 }
    }

    /// Adds what the rank does not know.
    pub(crate) fn complete(&self, environment: &mut v1::EnvironmentEvent) {
        environment.worker.clone_from(&self.worker);
        environment.host.clone_from(&self.host);
        environment.device = Some(self.device.clone());
        env!("CARGO_PKG_VERSION").clone_into(&mut environment.version);
        environment.binary_sha256.clone_from(&self.binary_sha256);
    }
}

fn sha256_of(path: &str) -> io::Result<String> {
    let mut digest = Sha256::new();
    io::copy(&mut File::open(path)?, &mut digest)?;
    Ok(digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_worker_adds_its_name_its_device_and_its_program() {
        let device = v1::Device { kind: "cpu".to_owned(), cores: 2, ..v1::Device::default() };
        let own = Surroundings::read("cpu-0".to_owned(), "box".to_owned(), device.clone()).await;
        let mut environment = v1::EnvironmentEvent { libtorch: "2.11.0".to_owned(), ..v1::EnvironmentEvent::default() };
        own.complete(&mut environment);
        assert_eq!((environment.worker.as_str(), environment.host.as_str()), ("cpu-0", "box"));
        assert_eq!((environment.device, environment.libtorch.as_str()), (Some(device), "2.11.0"));
        let own = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        assert_eq!(environment.binary_sha256, format!("{:x}", Sha256::digest(own)));
    }

    #[test]
    fn a_program_that_is_not_there_has_no_sha256() {
        assert!(sha256_of("/absent/program").is_err());
    }
}
