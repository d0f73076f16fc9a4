//! Functions of libtorch that tch lacks.

use std::ptr;

use tch::Tensor;

use super::process_group::{owned, pointer};
use super::raw;
use super::status::call;
use crate::Error;

/// `tensors` are scale, shift, running mean and running variance.
pub(crate) fn batch_norm_jvp(
    x: &Tensor,
    t: &Tensor,
    tensors: [&Tensor; 4],
    momentum: f64,
    epsilon: f64,
) -> Result<(Tensor, Tensor), Error> {
    let [scale, shift, mean, variance] = tensors.map(pointer);
    let (mut y, mut y_tangent) = (ptr::null_mut(), ptr::null_mut());
    // SAFETY: all tensors are alive; libtorch checks kinds and throws; `y`, `y_tangent` and `message` can be written to.
    call("BatchNorm with its derivative", |message| unsafe {
        raw::tandem_batch_norm_jvp(
            pointer(x),
            pointer(t),
            scale,
            shift,
            mean,
            variance,
            momentum,
            epsilon,
            &mut y,
            &mut y_tangent,
            message,
        )
    })?;
    Ok((owned(y), owned(y_tangent)))
}

pub(crate) fn set_tf32(allowed: bool) -> Result<(), Error> {
    // SAFETY: `message` is a place to write to.
    call("setting TF32", |message| unsafe { raw::tandem_set_tf32(allowed, message) })
}

/// Of convolutions and of matrix products.
pub(crate) fn tf32() -> Result<(bool, bool), Error> {
    let (mut convolutions, mut products) = (false, false);
    // SAFETY: all three are places to write to.
    call("reading TF32", |message| unsafe { raw::tandem_get_tf32(&mut convolutions, &mut products, message) })?;
    Ok((convolutions, products))
}
