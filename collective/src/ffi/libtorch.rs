//! Functions of libtorch that tch lacks.

use std::ptr;

use tch::Tensor;

use super::process_group::{owned, pointer};
use super::raw;
use super::status::{call, take};
use crate::Error;
use crate::then::Then;

pub(crate) fn convolution(x: &Tensor, weight: &Tensor, stride: i64, padding: i64) -> Result<Tensor, Error> {
    let mut y = ptr::null_mut();
    // SAFETY: both tensors are alive; libtorch checks shapes and kinds and throws; `y` and `message` can be written to.
    call("convolution", |message| unsafe {
        raw::tandem_convolution(pointer(x), pointer(weight), stride, padding, &mut y, message)
    })?;
    Ok(owned(y))
}

/// `tensors` are scale, shift, running mean and running variance.
pub(crate) fn batch_norm_relu(
    x: &Tensor,
    then: Then<&Tensor>,
    tensors: [&Tensor; 4],
    momentum: f64,
    epsilon: f64,
) -> Result<Tensor, Error> {
    let [scale, shift, mean, variance] = tensors.map(pointer);
    let residual = then.residual().map_or(ptr::null(), pointer);
    let mut y = ptr::null_mut();
    // SAFETY: all tensors are alive, or null where that is allowed; `y` and `message` can be written to.
    call("BatchNorm with ReLU", |message| unsafe {
        raw::tandem_batch_norm_relu(
            pointer(x),
            residual,
            scale,
            shift,
            mean,
            variance,
            momentum,
            epsilon,
            then.code(),
            &mut y,
            message,
        )
    })?;
    Ok(owned(y))
}

/// `tensors` are scale, shift, running mean and running variance; a residual comes with its tangent.
pub(crate) fn batch_norm_relu_jvp(
    x: &Tensor,
    t: &Tensor,
    then: Then<(&Tensor, &Tensor)>,
    tensors: [&Tensor; 4],
    momentum: f64,
    epsilon: f64,
) -> Result<(Tensor, Tensor), Error> {
    let [scale, shift, mean, variance] = tensors.map(pointer);
    let (residual, residual_tangent) =
        then.residual().map_or((ptr::null(), ptr::null()), |(value, tangent)| (pointer(value), pointer(tangent)));
    let (mut y, mut y_tangent) = (ptr::null_mut(), ptr::null_mut());
    // SAFETY: all tensors are alive, or null where that is allowed; `y`, `y_tangent` and `message` can be written to.
    call("BatchNorm with ReLU and its derivative", |message| unsafe {
        raw::tandem_batch_norm_relu_jvp(
            pointer(x),
            pointer(t),
            residual,
            residual_tangent,
            scale,
            shift,
            mean,
            variance,
            momentum,
            epsilon,
            then.code(),
            &mut y,
            &mut y_tangent,
            message,
        )
    })?;
    Ok((owned(y), owned(y_tangent)))
}

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

/// Version, build and instruction set of libtorch, each in its own words.
pub(crate) fn build() -> Result<[String; 3], Error> {
    let [mut version, mut build, mut instructions] = [ptr::null_mut(); 3];
    // SAFETY: all four are places to write to.
    call("reading libtorch's build", |message| unsafe {
        raw::tandem_libtorch_build(&mut version, &mut build, &mut instructions, message)
    })?;
    Ok([version, build, instructions].map(take))
}
