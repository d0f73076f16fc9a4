//! Checks of tensors whose memory is handed to c10d, which does not check it.

use tch::{Device, Kind, Tensor};

use crate::Error;

/// The types that Gloo and NCCL both add.
const KINDS: [Kind; 8] =
    [Kind::Float, Kind::Double, Kind::Half, Kind::BFloat16, Kind::Int, Kind::Int64, Kind::Int8, Kind::Uint8];

/// As in csrc/agree.hpp.
const MAX_DIMS: usize = 8;

/// Fails unless the tensor's values can be sent. `device` is the group's; `None` allows any.
pub(crate) fn sendable(operation: &str, tensor: &Tensor, device: Option<Device>) -> Result<(), Error> {
    let refuse = |why: String| Err(Error::Invalid(format!("{operation}: {why}")));
    if !tensor.defined() {
        return refuse("the tensor is undefined".into());
    }
    let kind = tensor.f_kind()?;
    if !KINDS.contains(&kind) {
        return refuse(format!("tensors of {kind:?} cannot be exchanged; convert to one of {KINDS:?}"));
    }
    if tensor.numel() == 0 {
        return refuse(format!("the tensor of shape {:?} has no elements", tensor.size()));
    }
    if tensor.dim() > MAX_DIMS {
        return refuse(format!("the tensor has {} dimensions, more than {MAX_DIMS}; reshape it", tensor.dim()));
    }
    match device {
        Some(device) if tensor.device() != device => {
            refuse(format!("the tensor is on {:?} but this group works on {device:?}", tensor.device()))
        }
        _ => Ok(()),
    }
}

/// Fails unless the tensor can be overwritten: its memory has no gaps, and no gradient depends on its values.
pub(crate) fn writable(operation: &str, tensor: &Tensor, device: Option<Device>) -> Result<(), Error> {
    sendable(operation, tensor, device)?;
    if !is_dense(&tensor.size(), &tensor.stride()) {
        return Err(Error::Invalid(format!(
            "{operation}: the tensor of shape {:?} and strides {:?} has gaps or overlaps; pass `.contiguous()`",
            tensor.size(),
            tensor.stride()
        )));
    }
    if !tensor.is_leaf() {
        return Err(Error::Invalid(format!(
            "{operation}: writes into a tensor that autograd computed, whose gradient would then be wrong; pass `.detach()`"
        )));
    }
    Ok(())
}

/// Whether the elements fill their memory without gaps or overlaps, in any order of dimensions.
fn is_dense(sizes: &[i64], strides: &[i64]) -> bool {
    let mut dims: Vec<_> = sizes.iter().zip(strides).filter(|(size, _)| **size > 1).collect();
    dims.sort_by_key(|(_, stride)| **stride);
    let mut expected = 1;
    dims.iter().all(|(size, stride)| {
        let follows = **stride == expected;
        expected *= **size;
        follows
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dense_is_every_order_of_dimensions_without_gaps() {
        assert!(is_dense(&[2, 3, 4, 5], &[60, 20, 5, 1]));
        assert!(is_dense(&[2, 3, 4, 5], &[60, 1, 15, 3]), "channels-last");
        assert!(is_dense(&[3, 1, 2], &[2, 99, 1]), "the stride of a dimension of one does not matter");
        assert!(is_dense(&[], &[]));
        assert!(!is_dense(&[2, 3], &[6, 2]), "gaps");
        assert!(!is_dense(&[2, 3], &[0, 1]), "expanded");
        assert!(!is_dense(&[2, 3], &[1, 1]), "overlapping");
    }

    #[test]
    fn says_what_is_wrong_with_a_tensor() {
        let cpu = Some(Device::Cpu);
        let refused = |result: Result<(), Error>, word: &str| match result {
            Err(Error::Invalid(text)) => assert!(text.contains(word), "{text}"),
            other => panic!("expected a refusal that mentions {word}, got {other:?}"),
        };
        let ones = Tensor::ones([4, 6], (Kind::Float, Device::Cpu));
        assert_eq!(writable("broadcast", &ones, cpu), Ok(()));
        refused(writable("broadcast", &ones.slice(1, 0, 6, 2), cpu), "gaps");
        refused(writable("broadcast", &ones.slice(0, 0, 0, 1), cpu), "no elements");
        refused(writable("broadcast", &ones.to_kind(Kind::Bool), cpu), "Bool");
        refused(writable("broadcast", &ones, Some(Device::Cuda(0))), "Cuda(0)");
        refused(writable("broadcast", &ones.reshape([1, 1, 1, 1, 1, 1, 1, 4, 6]), cpu), "dimensions");
        let leaf = ones.set_requires_grad(true);
        assert_eq!(writable("broadcast", &leaf, cpu), Ok(()));
        refused(writable("broadcast", &(&leaf * 2.0), cpu), "autograd");
        assert_eq!(sendable("all_gather", &(&leaf * 2.0), cpu), Ok(()));
    }
}
