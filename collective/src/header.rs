//! What two ranks exchange before a point-to-point call: shape and type of the tensor, as a tensor of fixed shape.

use tch::{Device, Kind, Tensor};

use crate::Error;
use crate::check::{self, MAX_DIMS};

/// Whether it is valid, type, number of dimensions; then sizes and strides.
const FIELDS: usize = 3 + 2 * MAX_DIMS;

/// `valid`: the tensor has passed [`check`]; otherwise the header says that it was refused.
pub(crate) fn of(tensor: &Tensor, valid: bool, device: Option<Device>) -> Result<Tensor, Error> {
    let mut fields = [0_i64; FIELDS];
    if valid {
        fields[0] = 1;
        fields[1] = check::kind_code(tensor.f_kind()?);
        fields[2] = tensor.dim() as i64;
        for (field, value) in fields[3..].iter_mut().zip(tensor.size().into_iter().chain(tensor.stride())) {
            *field = value;
        }
    }
    Ok(Tensor::from_slice(&fields).f_to_device(device.unwrap_or(Device::Cpu))?)
}

/// Fails, naming both shapes, unless the headers are equal.
pub(crate) fn compare(operation: &str, mine: &Tensor, theirs: &Tensor, peer: u32) -> Result<(), Error> {
    let (mine, theirs) = (read(mine)?, read(theirs)?);
    if mine == theirs {
        return Ok(());
    }
    Err(Error::Invalid(format!(
        "{operation}: this rank {}, rank {peer} {}; shapes, strides and types must be equal",
        describe(&mine),
        describe(&theirs)
    )))
}

fn read(header: &Tensor) -> Result<Vec<i64>, Error> {
    Ok(Vec::try_from(&header.f_to_device(Device::Cpu)?.f_to_kind(Kind::Int64)?)?)
}

fn describe(fields: &[i64]) -> String {
    if fields[0] == 0 {
        return "has refused its own tensor".to_owned();
    }
    let dims = usize::try_from(fields[2]).unwrap_or(0).min(MAX_DIMS);
    format!("has {} of shape {:?}", check::kind_name(fields[1]), &fields[3..3 + dims])
}
