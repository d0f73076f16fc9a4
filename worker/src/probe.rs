//! `tandem-worker probe`: what libtorch can do on this machine, as one line of JSON. Asked by `tandem doctor`.
//!
//! Whether there are kernels for a card is found out by the only sure way: something small is computed on it.

use std::{path::Path, process::ExitCode};

use serde::Serialize;
use tandem_collective::cuda;
use tch::{Cuda, Device, Kind, TchError, Tensor};

/// The sides of the product.
const SIDE: i64 = 64;
const LIBTORCH: &str = "libtorch_cpu.so";

/// As `cli/src/doctor/probe.rs` reads it. Each text says why not; what is null is well.
#[derive(Debug, Serialize)]
struct Probe {
    version: String,
    cpu: Option<String>,
    cuda: Option<String>,
    cards: Vec<Option<String>>,
    nccl: Option<String>,
}

pub(crate) fn main() -> ExitCode {
    match serde_json::to_string(&probe()) {
        Ok(line) => {
            println!("{line}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("tandem-worker probe: {error}");
            ExitCode::FAILURE
        }
    }
}

fn probe() -> Probe {
    // First: libtorch asks once whether there is CUDA.
    let cuda = match cuda::load() {
        Ok(true) if Cuda::device_count() > 0 => None,
        Ok(true) => Some("the driver shows no card to CUDA (CUDA_VISIBLE_DEVICES?)".to_owned()),
        Ok(false) => Some("this machine has no NVIDIA driver".to_owned()),
        Err(error) => Some(error.to_string()),
    };
    let count = if cuda.is_none() { usize::try_from(Cuda::device_count()).unwrap_or_default() } else { 0 };
    Probe {
        version: version(),
        cpu: multiply(Device::Cpu).err(),
        cards: (0..count).map(|index| multiply(Device::Cuda(index)).err()).collect(),
        nccl: cuda::nccl().err().map(|error| error.to_string()),
        cuda,
    }
}

/// A product whose every element is known.
fn multiply(device: Device) -> Result<(), String> {
    let product = || -> Result<f64, TchError> {
        let ones = Tensor::f_ones([SIDE, SIDE], (Kind::Float, device))?;
        // A kernel of its own beside that of the product.
        let twos = ones.f_add(&ones)?;
        let sum = ones.f_matmul(&twos)?.f_sum(Kind::Double)?;
        f64::try_from(&sum.f_to_device(Device::Cpu)?)
    };
    let expected = (2 * SIDE * SIDE * SIDE) as f64;
    match product() {
        Ok(sum) if sum == expected => Ok(()),
        Ok(sum) => Err(format!("a product came to {sum}, and not {expected}: it computes wrongly")),
        // The first line: what follows is libtorch's stack.
        Err(error) => Err(error.to_string().lines().next().unwrap_or("it says nothing").to_owned()),
    }
}

/// As libtorch's folder says, where it came with Python or alone.
fn version() -> String {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let file =
        maps.lines().filter_map(|line| line.find('/').map(|at| &line[at..])).find(|path| path.ends_with(LIBTORCH));
    let root = file.and_then(|file| Path::new(file).parent()?.parent());
    let read = |name: &str| root.and_then(|root| std::fs::read_to_string(root.join(name)).ok());
    let of_python = || {
        let text = read("version.py")?;
        let line = text.lines().find_map(|line| line.strip_prefix("__version__ = "))?;
        Some(line.trim_matches(['\'', '"']).to_owned())
    };
    let alone = || read("build-version").map(|text| text.trim().to_owned());
    alone().or_else(of_python).unwrap_or_else(|| "libtorch of an unknown version".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_processor_computes_and_the_version_is_known() {
        let probe = probe();
        assert_eq!(probe.cpu, None);
        assert!(probe.version.starts_with(|first: char| first.is_ascii_digit()), "{}", probe.version);
        // On a machine without a card, too.
        assert_eq!(!probe.cards.is_empty(), probe.cuda.is_none());
    }
}
