//! What a rank runs in: the part of the receipt that its worker does not know.

use std::fs;

use tandem_collective::{Error, libtorch};
use tandem_domain::{LEARN_VERSION, receipt::Environment};

use crate::device::processor_name;

/// Instruction sets that arithmetic may use, by how the kernel's names of them begin.
const ARITHMETIC: [&str; 12] =
    ["amx", "asimd", "avx", "bf16", "bmi", "f16c", "fma", "fphp", "i8mm", "sse", "ssse", "sve"];

/// # Errors
/// Where libtorch does not say what it is.
pub(crate) fn environment(threads: u32) -> Result<Environment, Error> {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let libtorch = libtorch()?;
    Ok(Environment {
        processor: processor_name(&cpuinfo),
        processor_features: features(&cpuinfo),
        instructions: libtorch.instructions,
        libtorch: libtorch.version,
        libtorch_build: libtorch.build,
        threads,
        learn_version: LEARN_VERSION.to_owned(),
        ..Environment::default()
    })
}

/// Of the first processor: those of one machine are alike.
fn features(cpuinfo: &str) -> Vec<String> {
    let fields = cpuinfo.lines().filter_map(|line| line.split_once(':'));
    let mut named = fields.filter(|(key, _)| matches!(key.trim(), "flags" | "Features"));
    let words = named.next().map_or("", |(_, words)| words).split_whitespace();
    let mut found: Vec<String> =
        words.filter(|word| ARITHMETIC.iter().any(|begin| word.starts_with(begin))).map(str::to_owned).collect();
    found.sort();
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_are_those_of_arithmetic_in_one_order() {
        let cpuinfo =
            "processor\t: 0\nflags\t\t: fpu sse2 avx2 rdtscp fma avx512f sse syscall\n\nprocessor\t: 1\nflags: x\n";
        assert_eq!(features(cpuinfo), ["avx2", "avx512f", "fma", "sse", "sse2"]);
        assert_eq!(features("Features\t: fp asimd evtstrm crc32\n"), ["asimd"]);
        assert!(features("").is_empty());
    }

    #[test]
    fn a_rank_knows_its_libtorch_and_its_processor() {
        let found = environment(2).unwrap();
        assert!(found.libtorch.starts_with("2.") && !found.processor.is_empty() && found.threads == 2, "{found:?}");
        assert!(found.worker.is_empty() && found.binary_sha256.is_empty(), "its worker knows these");
    }
}
