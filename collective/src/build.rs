//! What libtorch this is: its bits differ from build to build, and from one set of instructions to another.

use crate::{Error, ffi};

/// In libtorch's own words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Build {
    /// "2.11.0".
    pub version: String,
    /// Compiler, libraries and flags, in lines.
    pub build: String,
    /// What its kernels chose on this processor: "AVX2".
    pub instructions: String,
}

/// Call it after [`cuda::load`](crate::cuda::load): then the build names CUDA's libraries, too.
pub fn libtorch() -> Result<Build, Error> {
    let [version, build, instructions] = ffi::build()?;
    Ok(Build { version, build, instructions })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libtorch_says_what_it_is() {
        let found = libtorch().unwrap();
        assert!(found.version.starts_with("2."), "{found:?}");
        assert!(found.build.contains("PyTorch built with") && found.build.contains("C++"), "{found:?}");
        assert!(!found.instructions.is_empty() && !found.instructions.contains('\n'), "{found:?}");
        assert_eq!(libtorch().unwrap(), found);
    }
}
