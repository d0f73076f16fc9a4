//! Which workers to start: one per GPU, or two CPU workers.

use std::fs;

use clap::ValueEnum;

const CPU_WORKERS: u32 = 2;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Devices {
    Auto,
    Cpu,
    Cuda,
}

/// A worker to start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WorkerPlan {
    pub(crate) name: String,
    /// What `tandem-worker run --device` takes.
    pub(crate) device: String,
}

/// The workers to start. The error says why there can be none.
pub(crate) fn workers(devices: Devices, wanted: Option<u32>, gpus: u32) -> Result<Vec<WorkerPlan>, String> {
    let on_gpus = match devices {
        Devices::Auto => gpus > 0,
        Devices::Cuda if gpus == 0 => {
            return Err(
                "found no NVIDIA GPU (no /dev/nvidia0): is the driver loaded? `--devices cpu` works without".to_owned()
            );
        }
        Devices::Cuda => true,
        Devices::Cpu => false,
    };
    let count = wanted.unwrap_or(if on_gpus { gpus } else { CPU_WORKERS });
    if on_gpus && count > gpus {
        return Err(format!(
            "cannot start {count} workers on {gpus} GPUs: each holds one; `--devices cpu` has no such limit"
        ));
    }
    Ok((0..count).map(|index| if on_gpus { gpu(index) } else { cpu(index) }).collect())
}

fn gpu(index: u32) -> WorkerPlan {
    WorkerPlan { name: format!("gpu-{index}"), device: format!("cuda:{index}") }
}

fn cpu(index: u32) -> WorkerPlan {
    WorkerPlan { name: format!("cpu-{index}"), device: "cpu".to_owned() }
}

/// GPUs as the driver's device nodes: no library has to be loaded, and containers show only their own.
pub(crate) fn count_gpus() -> u32 {
    let Ok(entries) = fs::read_dir("/dev") else { return 0 };
    let gpus = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).filter(|name| is_gpu(name));
    u32::try_from(gpus.count()).unwrap_or(u32::MAX)
}

/// `nvidia0`, but not `nvidiactl` or `nvidia-uvm`.
fn is_gpu(name: &str) -> bool {
    name.strip_prefix("nvidia").is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn devices(plan: Result<Vec<WorkerPlan>, String>) -> Vec<String> {
        plan.unwrap().into_iter().map(|worker| worker.device).collect()
    }

    #[test]
    fn one_worker_per_gpu_or_two_on_the_cpu() {
        assert_eq!(devices(workers(Devices::Auto, None, 0)), ["cpu", "cpu"]);
        assert_eq!(devices(workers(Devices::Auto, None, 3)), ["cuda:0", "cuda:1", "cuda:2"]);
        assert_eq!(devices(workers(Devices::Auto, Some(1), 3)), ["cuda:0"]);
        assert_eq!(devices(workers(Devices::Cpu, Some(4), 3)), ["cpu"; 4]);
        assert_eq!(devices(workers(Devices::Auto, Some(0), 0)), [""; 0]);
    }

    #[test]
    fn what_cannot_be_is_refused() {
        assert!(workers(Devices::Cuda, None, 0).unwrap_err().contains("no NVIDIA GPU"));
        assert!(workers(Devices::Auto, Some(4), 3).unwrap_err().contains("4 workers on 3 GPUs"));
    }

    #[test]
    fn only_numbered_nodes_are_gpus() {
        assert!(is_gpu("nvidia0") && is_gpu("nvidia11"));
        assert!(!is_gpu("nvidiactl") && !is_gpu("nvidia-uvm") && !is_gpu("nvidia"));
    }
}
