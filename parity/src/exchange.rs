//! Tensors to a peer and back: safetensors files in a temporary folder of the comparison.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use tch::{Kind, Tensor};
use tempfile::TempDir;

pub(crate) struct Exchange(TempDir);

impl Exchange {
    pub(crate) fn new() -> Result<Self> {
        Ok(Self(tempfile::Builder::new().prefix("tandem-parity.").tempdir()?))
    }

    pub(crate) fn folder(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn write(&self, name: &str, tensors: &[(&str, &Tensor)]) -> Result<()> {
        let tensors: Vec<(&str, Tensor)> =
            tensors.iter().map(|(name, tensor)| (*name, tensor.detach().contiguous())).collect();
        Tensor::write_safetensors(&tensors, self.path(name)).with_context(|| format!("writing {name}"))
    }

    /// Reads what the peer has written.
    pub(crate) fn read(&self, name: &str) -> Result<Tensors> {
        let tensors = Tensor::read_safetensors(self.path(name)).with_context(|| format!("reading {name}"))?;
        Ok(Tensors(tensors.into_iter().collect()))
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder().join(name).with_extension("safetensors")
    }
}

pub(crate) struct Tensors(HashMap<String, Tensor>);

impl Tensors {
    pub(crate) fn get(&self, name: &str) -> Result<&Tensor> {
        self.0.get(name).with_context(|| format!("the peer has written no `{name}`"))
    }
}

/// The largest difference of two elements; not-a-number if any element is.
pub(crate) fn largest_difference(ours: &Tensor, theirs: &Tensor) -> Result<f64> {
    ensure!(ours.size() == theirs.size(), "ours is {:?}, theirs {:?}", ours.size(), theirs.size());
    ensure!(ours.numel() > 0, "there is nothing to compare");
    Ok((ours.to_kind(Kind::Double) - theirs.to_kind(Kind::Double)).abs().max().double_value(&[]))
}

/// The larger; not-a-number if either is.
pub(crate) fn nan_max(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() { f64::NAN } else { a.max(b) }
}

/// The largest difference, divided by the largest element of theirs.
pub(crate) fn relative_difference(ours: &Tensor, theirs: &Tensor) -> Result<f64> {
    Ok(largest_difference(ours, theirs)? / theirs.abs().max().double_value(&[]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_never_overlooked() {
        let of = |values: &[f32]| Tensor::from_slice(values);
        assert_eq!(largest_difference(&of(&[1.0, 2.0]), &of(&[1.5, 2.25])).unwrap(), 0.5);
        assert!(largest_difference(&of(&[f32::NAN, 2.0]), &of(&[1.0, 2.0])).unwrap().is_nan());
        assert!(largest_difference(&of(&[1.0]), &of(&[1.0, 2.0])).is_err());
        assert!(largest_difference(&of(&[]), &of(&[])).is_err());
        assert_eq!(relative_difference(&of(&[4.5, 1.0]), &of(&[4.0, 1.0])).unwrap(), 0.125);
    }

    #[test]
    fn tensors_survive_the_exchange() {
        let exchange = Exchange::new().unwrap();
        let double = Tensor::from_slice(&[1.0f64 / 3.0, 2.0]);
        exchange.write("x", &[("a", &double), ("b", &Tensor::from_slice(&[7i64]))]).unwrap();
        let read = exchange.read("x").unwrap();
        assert!(read.get("a").unwrap().equal(&double) && read.get("c").is_err());
    }
}
