//! `FlatTensors` to safetensors and back. Equal tensors with equal metadata give equal bytes.

use std::collections::HashMap;

use safetensors::tensor::{Metadata, TensorInfo};
use safetensors::{Dtype, SafeTensorError, SafeTensors};
use tch::{Device, Kind, Tensor};

use crate::flat::FlatTensors;

/// One key holds all metadata as JSON, since safetensors writes several keys in no fixed order.
const METADATA_KEY: &str = "tandem";
/// Of the first tensor in the file, as safetensors demands.
const ALIGNMENT: usize = 8;

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

/// All tensors of `parts`, each a prefix of names and its tensors, as f32 in little endian.
pub fn encode(parts: &[(&str, &FlatTensors)], metadata: &str) -> Result<Vec<u8>, WeightsError> {
    let encoding = Encoding::new(parts, metadata)?;
    let mut bytes = Vec::with_capacity(encoding.header.len() + encoding.tensors.iter().map(bytes_in).sum::<usize>());
    bytes.extend_from_slice(encoding.header());
    encoding.tensors().for_each(|tensor| bytes.extend(tensor));
    Ok(bytes)
}

/// As [`encode`], one tensor after another, so that only one is copied at a time.
pub(crate) struct Encoding {
    header: Vec<u8>,
    tensors: Vec<Tensor>,
}

impl Encoding {
    pub(crate) fn new(parts: &[(&str, &FlatTensors)], metadata: &str) -> Result<Self, WeightsError> {
        let mut named = Vec::new();
        for (prefix, flat) in parts {
            let vector = flat.vector().to_device(Device::Cpu);
            let slots = flat.layout().slots().iter();
            named.extend(slots.map(|slot| (format!("{prefix}{}", slot.name), slot.view(&vector))));
        }
        named.sort_by(|(a, _), (b, _)| a.cmp(b));
        let mut end = 0;
        let info = |(name, tensor): &(String, Tensor)| {
            let begin = end;
            end += bytes_in(tensor);
            let shape = tensor.size().iter().map(|&size| size as usize).collect();
            (name.clone(), TensorInfo { dtype: Dtype::F32, shape, data_offsets: (begin, end) })
        };
        let infos = named.iter().map(info).collect();
        let metadata = HashMap::from([(METADATA_KEY.to_owned(), metadata.to_owned())]);
        let mut json = serde_json::to_vec(&Metadata::new(Some(metadata), infos)?).map_err(SafeTensorError::from)?;
        json.resize(json.len().next_multiple_of(ALIGNMENT), b' ');
        let header = [(json.len() as u64).to_le_bytes().as_slice(), &json].concat();
        Ok(Self { header, tensors: named.into_iter().map(|(_, tensor)| tensor).collect() })
    }

    /// What comes before the tensors.
    pub(crate) fn header(&self) -> &[u8] {
        &self.header
    }

    pub(crate) fn tensors(&self) -> impl Iterator<Item = Vec<u8>> {
        self.tensors.iter().map(|tensor| {
            let mut bytes = vec![0; bytes_in(tensor)];
            tensor.copy_data_u8(&mut bytes, tensor.numel());
            bytes
        })
    }
}

/// Fills the tensors of `parts` by their names. Changes nothing unless all of them are there with the right shapes.
pub fn decode(bytes: &[u8], parts: &[(&str, &FlatTensors)]) -> Result<(), WeightsError> {
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

/// The metadata that [`encode`] was given.
pub fn metadata(bytes: &[u8]) -> Result<String, WeightsError> {
    let (_, header) = SafeTensors::read_metadata(bytes)?;
    header.metadata().as_ref().and_then(|all| all.get(METADATA_KEY)).cloned().ok_or(WeightsError::NoMetadata)
}

fn bytes_in(tensor: &Tensor) -> usize {
    4 * tensor.numel()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::flat::{Layout, Role};
    use safetensors::tensor::TensorView;

    fn flat(names: [&str; 2], first: f64) -> FlatTensors {
        let mut layout = Layout::default();
        layout.add(names[0].into(), &[2, 3], Role::Linear);
        layout.add(names[1].into(), &[4], Role::NormBias);
        let flat = FlatTensors::zeros(Arc::new(layout), Device::Cpu);
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
    fn the_bytes_are_those_that_safetensors_writes() {
        let (a, b) = (flat(["z.weight", "bias"], 1.0), flat(["m", "n"], 5.0));
        let parts = [("a.", &a), ("", &b)];
        let mut views = Vec::new();
        for (prefix, flat) in parts {
            for (slot, view) in flat.named() {
                let values = Vec::<f32>::try_from(view.view(-1)).unwrap();
                let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
                views.push((format!("{prefix}{}", slot.name), view.size(), bytes));
            }
        }
        let views = views.iter().map(|(name, shape, bytes)| {
            let shape = shape.iter().map(|&size| size as usize).collect();
            (name.as_str(), TensorView::new(Dtype::F32, shape, bytes).unwrap())
        });
        let metadata = HashMap::from([(METADATA_KEY.to_owned(), "a card".to_owned())]);
        assert_eq!(encode(&parts, "a card").unwrap(), safetensors::serialize(views, Some(metadata)).unwrap());
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
