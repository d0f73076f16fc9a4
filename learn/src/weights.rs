//! `Flat` vectors as safetensors and back. Equal tensors and equal metadata are equal bytes.

use std::collections::HashMap;

use safetensors::{Dtype, SafeTensorError, SafeTensors, tensor::TensorView};
use tch::{Kind, Tensor};

use crate::flat::Flat;

/// A key of its own holds all metadata as JSON: safetensors writes several keys in no fixed order.
const METADATA_KEY: &str = "tandem";

#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    #[error("not a readable safetensors file: {0}")]
    Format(#[from] SafeTensorError),
    #[error("tensor `{name}` is missing")]
    Missing { name: String },
    #[error("tensor `{name}` is {found}, not {expected}")]
    Mismatch { name: String, found: String, expected: String },
    #[error("the metadata that `tandem` writes is missing")]
    NoMetadata,
}

/// Each flat vector's tensors under their names, which `prefix` begins, as f32 in little endian.
pub fn encode(parts: &[(&str, &Flat)], metadata: &str) -> Result<Vec<u8>, WeightsError> {
    let bytes: Vec<Vec<u8>> = parts.iter().map(|(_, flat)| bytes_of(flat.vector())).collect();
    let mut views = Vec::new();
    for ((prefix, flat), bytes) in parts.iter().zip(&bytes) {
        for slot in flat.layout().slots() {
            let shape = slot.shape.iter().map(|&size| size as usize).collect();
            let data = &bytes[4 * slot.offset as usize..][..4 * slot.numel() as usize];
            views.push((format!("{prefix}{}", slot.name), TensorView::new(Dtype::F32, shape, data)?));
        }
    }
    let metadata = HashMap::from([(METADATA_KEY.to_owned(), metadata.to_owned())]);
    Ok(safetensors::serialize(views, Some(metadata))?)
}

/// Fills flat vectors with the tensors of their names. Nothing is changed unless all are there with the right shapes.
pub fn decode(bytes: &[u8], parts: &[(&str, &Flat)]) -> Result<(), WeightsError> {
    let file = SafeTensors::deserialize(bytes)?;
    let mut found = Vec::new();
    for (prefix, flat) in parts {
        for (slot, view) in flat.named() {
            let name = format!("{prefix}{}", slot.name);
            let tensor = file.tensor(&name).map_err(|_| WeightsError::Missing { name: name.clone() })?;
            let shape: Vec<i64> = tensor.shape().iter().map(|&size| size as i64).collect();
            if tensor.dtype() != Dtype::F32 || shape != slot.shape {
                return Err(WeightsError::Mismatch {
                    name,
                    found: format!("{:?} {shape:?}", tensor.dtype()),
                    expected: format!("F32 {:?}", slot.shape),
                });
            }
            found.push((view, Tensor::from_data_size(tensor.data(), &shape, Kind::Float)));
        }
    }
    tch::no_grad(|| found.into_iter().for_each(|(view, value)| view.shallow_clone().copy_(&value)));
    Ok(())
}

/// What `encode` was given.
pub fn metadata(bytes: &[u8]) -> Result<String, WeightsError> {
    let (_, header) = SafeTensors::read_metadata(bytes)?;
    header.metadata().as_ref().and_then(|all| all.get(METADATA_KEY)).cloned().ok_or(WeightsError::NoMetadata)
}

fn bytes_of(vector: &Tensor) -> Vec<u8> {
    let mut bytes = vec![0; 4 * vector.numel()];
    vector.to_device(tch::Device::Cpu).copy_data_u8(&mut bytes, vector.numel());
    bytes
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::flat::{Layout, Role};
    use tch::Device;

    fn flat(names: [&str; 2], first: f64) -> Flat {
        let mut layout = Layout::default();
        layout.add(names[0].into(), &[2, 3], Role::Linear);
        layout.add(names[1].into(), &[4], Role::NormBias);
        let flat = Flat::zeros(Arc::new(layout), Device::Cpu);
        for (i, (_, view)) in flat.named().enumerate() {
            let _ = view.shallow_clone().fill_(first + i as f64);
        }
        flat
    }

    #[test]
    fn what_is_written_is_read_and_the_bytes_are_always_the_same() {
        let (a, b) = (flat(["z.weight", "bias"], 1.0), flat(["m", "n"], 5.0));
        let bytes = encode(&[("a.", &a), ("", &b)], "{\"step\":7}").unwrap();
        assert_eq!(bytes, encode(&[("a.", &a), ("", &b)], "{\"step\":7}").unwrap());
        assert_eq!(metadata(&bytes).unwrap(), "{\"step\":7}");
        let (c, d) = (flat(["z.weight", "bias"], 0.0), flat(["m", "n"], 0.0));
        decode(&bytes, &[("a.", &c), ("", &d)]).unwrap();
        assert!(c.vector().equal(a.vector()) && d.vector().equal(b.vector()));
    }

    #[test]
    fn a_wrong_file_changes_nothing() {
        let bytes = encode(&[("", &flat(["x", "other"], 1.0))], "").unwrap();
        let target = flat(["x", "y"], 9.0);
        assert!(matches!(decode(&bytes, &[("", &target)]), Err(WeightsError::Missing { name }) if name == "y"));
        assert_eq!(target.get(0).double_value(&[0, 0]), 9.0);
        assert!(matches!(decode(&bytes[..20], &[("", &target)]), Err(WeightsError::Format(_))));
    }
}
